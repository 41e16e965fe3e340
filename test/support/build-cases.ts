/** A Dockerfile that imgboot and buildah build from the same base and context. */
export interface BuildCase {
  dockerfile: string;
  /** The same in words that buildah (1.28) knows, where it does not know these. */
  peer?: string;
  /** Flags for both. */
  buildArgs?: Record<string, string>;
  labels?: Record<string, string>;
  target?: string;
  /** A secret of this id is given. */
  secret?: string;
  /** For imgboot only. */
  squash?: boolean;
  /** The context's .dockerignore. */
  ignore?: string;
  /** What differs on purpose, as a path or a field of the config, and why. */
  differs?: Record<string, string>;
  /** The Dockerfile of an image `parent` that is built first. */
  parent?: string;
}

const gone = 'buildah 1.28 removes the directory that it has mounted over';
const members = 'docker and we give what is in the archive to the owner that is asked for';
const volumes = 'buildah makes the directories of volumes, docker does not';

/** Named by what they show. URL stands for a server on loopback. @see docs/build.md, "Differences" */
export const buildCases: Record<string, BuildCase> = {
  // FROM
  'a base and nothing else': {
    differs: { Env: 'a stage without a PATH gets one at once, as docker does with scratch' },
    dockerfile: 'FROM base:1',
  },
  'scratch and a file': {
    differs: { '/': "buildah's root of scratch has the mode 555" },
    dockerfile: 'FROM scratch\nCOPY a /a',
  },
  'an ARG before FROM': {
    dockerfile: 'ARG TAG=0\nFROM base:$TAG\nARG TAG\nENV T=$TAG',
    buildArgs: { TAG: '1' },
  },
  'FROM an earlier stage': {
    dockerfile:
      'FROM base:1 AS one\nENV A=1\nRUN touch /one\nFROM one AS two\nRUN touch /two\nFROM two\nRUN touch /three',
  },
  '--target': {
    dockerfile: 'FROM base:1 AS first\nRUN touch /first\nFROM first AS second\nRUN touch /second',
    target: 'first',
  },
  'a stage that nothing needs is not built': {
    dockerfile: 'FROM base:1 AS broken\nRUN false\nFROM base:1\nRUN touch /built',
    peer: 'FROM base:1\nRUN touch /built',
  },
  'FROM --platform': { dockerfile: 'FROM --platform=linux/amd64 base:1\nRUN touch /a' },
  'names of stages in any case': {
    dockerfile: 'FROM base:1 AS Build\nRUN echo x > /x\nFROM base:1\nCOPY --from=build /x /x',
    peer: 'FROM base:1 AS build\nRUN echo x > /x\nFROM base:1\nCOPY --from=build /x /x',
  },

  // ARG and ENV
  'ARG with a default': { dockerfile: 'FROM base:1\nARG A=one\nRUN echo "$A" > /a' },
  'ARG from --build-arg': {
    dockerfile: 'FROM base:1\nARG A=one\nARG B\nRUN echo "$A $B" > /a',
    buildArgs: { A: 'two', B: 'three four' },
  },
  'ARG in other instructions': {
    dockerfile:
      'FROM base:1\nARG DIR=/srv\nARG NAME=a\nWORKDIR $DIR\nCOPY $NAME ${DIR}/copied\nLABEL dir=$DIR\nENV D=${DIR}/sub',
  },
  'an ARG lives to the end of its stage': {
    dockerfile: 'FROM base:1 AS one\nARG A=1\nRUN echo "[$A]" > /one\nFROM base:1\nRUN echo "[$A]" > /two',
  },
  'ENV wins over ARG': { dockerfile: 'FROM base:1\nARG A=arg\nENV A=env\nRUN echo $A > /a' },
  'ENV in both forms, quoted': {
    dockerfile:
      'FROM base:1\nENV A one two  three\nENV B="b b" C=c\\ c D=\'single $A\' E="$A"\nRUN env | sort | grep "^[A-E]=" > /env',
  },
  'ENV with defaults and alternatives': {
    dockerfile:
      'FROM base:1\nENV A=1\nENV B=${A:+set} C=${X:-default} D=${X:+no} E=\\$A\nRUN echo "$B $C $D $E" > /env',
  },
  'ENV sees the values from before its line': {
    dockerfile: 'FROM base:1\nENV A=old\nENV A=new B=$A\nRUN echo $A $B > /env',
  },
  'ENV replaced in place': { dockerfile: 'FROM base:1\nENV A=1 B=2\nENV A=3\nENV PATH=/opt/bin:$PATH' },
  'predefined ARGs': {
    dockerfile: 'FROM base:1\nARG TARGETARCH\nARG TARGETOS\nRUN echo $TARGETOS/$TARGETARCH $http_proxy > /p',
    buildArgs: { http_proxy: 'http://127.0.0.1:9' },
  },

  // RUN
  'RUN in shell form over several lines': {
    dockerfile:
      'FROM base:1\nRUN echo one > /a && \\\n# a comment\n    echo two >> /a && \\\n\n    echo three >> /a',
  },
  'RUN in exec form': { dockerfile: 'FROM base:1\nRUN ["/bin/sh", "-c", "echo $0 > /a", "zero"]' },
  'RUN in another shell': {
    differs: { Cmd: 'docker and we use SHELL, buildah always /bin/sh' },
    dockerfile:
      'FROM base:1\nSHELL ["/bin/busybox", "sh", "-ec"]\nRUN echo x > /a; readlink /proc/$$/exe >> /a\nCMD echo hi',
  },
  'RUN with a heredoc': {
    dockerfile: 'FROM base:1\nARG A=1\nRUN <<EOF\necho "$A" > /a\ncd /tmp\npwd >> /a\nEOF',
    peer: 'FROM base:1\nARG A=1\nRUN echo "$A" > /a; cd /tmp; pwd >> /a',
  },
  'RUN with an interpreter in a heredoc': {
    dockerfile: 'FROM base:1\nRUN <<EOF\n#!/bin/awk -f\nBEGIN { print "awk" > "/a" }\nEOF',
    peer: 'FROM base:1\nRUN echo awk > /a',
  },
  'RUN that reads a heredoc': {
    dockerfile: 'FROM base:1\nRUN cat > /a <<EOF && wc -l < /a > /b\n  one $((1+1))\n\ttwo\nEOF',
    peer: "FROM base:1\nRUN printf '  one 2\\n\\ttwo\\n' > /a && wc -l < /a > /b",
  },
  'RUN as another user in a directory of its own': {
    dockerfile:
      'FROM base:1\nUSER app\nWORKDIR /home/app\nRUN id > id; pwd > pwd; echo $HOME > home; umask > umask',
  },
  'RUN --network=none': {
    dockerfile: 'FROM base:1\nRUN --network=none ls /sys/class/net | grep -v lo > /nets; true',
    peer: 'FROM base:1\nRUN : > /nets',
  },
  'RUN --mount=type=bind from the context': {
    dockerfile:
      'FROM base:1\nRUN --mount=type=bind,source=dir,target=/mnt cat /mnt/y.txt > /y; ls -a /mnt > /names',
  },
  'RUN --mount=type=bind from a stage': {
    differs: { '/opt': gone },
    dockerfile:
      'FROM base:1 AS s\nRUN echo x > /x\nFROM base:1\nRUN --mount=type=bind,from=s,target=/opt cp /opt/x /x',
  },
  'RUN --mount=type=bind,rw loses what is written': {
    dockerfile:
      'FROM base:1\nRUN --mount=type=bind,source=dir,target=/opt,rw echo y > /opt/new && cat /opt/new > /read',
    peer: 'FROM base:1\nRUN echo y > /read',
  },
  'RUN --mount=type=cache': {
    differs: { '/var/cache': gone },
    dockerfile:
      'FROM base:1\nRUN --mount=type=cache,target=/var/cache echo 1 > /var/cache/c\nRUN --mount=type=cache,target=/var/cache cp /var/cache/c /c',
  },
  'RUN --mount=type=tmpfs': {
    differs: { '/opt/data': gone },
    dockerfile:
      'FROM base:1\nRUN --mount=type=tmpfs,target=/opt/data ls /opt/data > /names; touch /opt/data/gone',
  },
  'RUN --mount=type=secret': {
    dockerfile: 'FROM base:1\nRUN --mount=type=secret,id=pass wc -c < /run/secrets/pass > /size',
    secret: 'pass',
    differs: { '/run/secrets': 'buildah leaves the mount point in the layer' },
  },
  'deletions of files, directories and links': {
    dockerfile: 'FROM base:1\nRUN rm -rf /opt/data/sub /opt/data/one /var/log/a.log /var/data',
  },
  'a directory deleted and made again': {
    dockerfile:
      'FROM base:1\nRUN rm -rf /opt/data && mkdir /opt/data && echo new > /opt/data/new\nRUN rm -rf /opt/data/new && touch /opt/data/one',
  },
  'a directory becomes a file, and a file a directory': {
    dockerfile:
      'FROM base:1\nRUN rm -rf /opt/data/sub && echo f > /opt/data/sub && rm /opt/data/one && mkdir /opt/data/one && touch /opt/data/one/x',
  },
  'a renamed directory': {
    dockerfile: 'FROM base:1\nRUN mv /opt/data/sub /opt/moved && mv /var/log /var/logs',
  },
  'modes, owners, links and fifos': {
    dockerfile:
      'FROM base:1\nRUN echo x > /x && ln /x /hard && ln -s x /soft && mkfifo /fifo && chmod 4711 /x && chown 12:34 /x && chmod 1777 /opt && mkdir -m 2750 /setgid && chown 0:50 /setgid && chmod 2750 /setgid',
  },
  'hard links over several steps': {
    dockerfile: 'FROM base:1\nRUN echo x > /x && ln /x /y\nRUN ln /x /z\nRUN echo more >> /y',
    differs: {
      '/x': 'copy-up breaks hard links between layers, as under docker with overlay2',
      '/y': 'copy-up breaks hard links between layers, as under docker with overlay2',
      '/z': 'copy-up breaks hard links between layers, as under docker with overlay2',
    },
  },
  'changes of mode and owner only': {
    dockerfile:
      'FROM base:1\nRUN chmod 600 /opt/data/one && chown -R app:app /opt/data/sub && touch -d 2020-01-01 /var/log/a.log',
  },

  // COPY
  'COPY of a file to a file': { dockerfile: 'FROM base:1\nCOPY a /etc/renamed' },
  'COPY into a directory': { dockerfile: 'FROM base:1\nCOPY a /etc/\nCOPY b.txt c.txt exec /new/dir/' },
  'COPY into a directory that is there, without a slash': {
    dockerfile: 'FROM base:1\nCOPY a /opt\nCOPY dir /opt',
  },
  'COPY of a directory is its content': {
    dockerfile: 'FROM base:1\nCOPY dir /copied\nCOPY dir/sub /copied/deeper/',
  },
  'COPY of everything': { dockerfile: 'FROM base:1\nCOPY . /all/' },
  'COPY over what is there': {
    dockerfile:
      'FROM base:1\nRUN mkdir -p /t/sub && echo old > /t/x && echo keep > /t/keep && chmod 700 /t /t/sub\nCOPY dir /t/',
  },
  'COPY keeps modes': { dockerfile: 'FROM base:1\nCOPY private exec /modes/' },
  'COPY with globs': {
    dockerfile: 'FROM base:1\nCOPY glob/*.log /logs/\nCOPY glob/?.txt [bc].txt /texts/\nCOPY di* /d/',
  },
  'COPY in JSON form': { dockerfile: 'FROM base:1\nCOPY ["with space/the file", "/with space/"]' },
  'COPY of a symlink is what it leads to': {
    dockerfile: 'FROM base:1\nCOPY link /copied\nCOPY dirlink /copied-dir/',
  },
  'COPY through a symlink of the image': {
    dockerfile: 'FROM base:1\nCOPY a /lib/\nCOPY dir /lib/old\nCOPY b.txt /var/data/',
  },
  'COPY to a relative place': {
    dockerfile: 'FROM base:1\nWORKDIR /srv/app\nCOPY a .\nCOPY b.txt ./sub/\nCOPY c.txt ../up',
  },
  'COPY --chown by name, number and user only': {
    dockerfile:
      'FROM base:1\nCOPY --chown=app:staff a /a\nCOPY --chown=12:34 dir /dir\nCOPY --chown=app b.txt /b\nCOPY --chown=77 c.txt /c',
  },
  'COPY --chmod': { dockerfile: 'FROM base:1\nCOPY --chmod=4750 a /a\nCOPY --chmod=0700 b.txt exec /x/' },
  "COPY after USER is still root's": { dockerfile: 'FROM base:1\nUSER app\nCOPY a dir /home/app/in/' },
  'COPY --from a stage, by name and index': {
    dockerfile:
      'FROM base:1 AS s\nRUN mkdir /out && echo 1 > /out/1 && ln /out/1 /out/2 && ln -s 1 /out/3 && chown 5:6 /out/1 && chmod 4755 /out/1\nFROM base:1\nCOPY --from=s /out /o\nCOPY --from=0 /out/1 /one',
    differs: {
      '/o/1': 'a copy has no hard links',
      '/o/2': 'a copy has no hard links',
    },
  },
  'COPY --from an image': {
    differs: { '/': "buildah's root of scratch has the mode 555" },
    dockerfile: 'FROM scratch\nCOPY --from=base:1 /opt /opt\nCOPY --from=base:1 /bin/busybox /bin/',
  },
  'COPY --link': {
    dockerfile: 'FROM base:1\nCOPY --link dir /linked/',
    peer: 'FROM base:1\nCOPY dir /linked/',
  },
  'COPY --exclude': {
    dockerfile: 'FROM base:1\nCOPY --exclude=**/*.log --exclude=x dir /d/',
    peer: 'FROM base:1\nCOPY dir /d/\nRUN rm /d/sub/z.log /d/x',
    differs: { history: 'one instruction against two' },
  },
  'COPY --parents': {
    dockerfile: 'FROM base:1\nCOPY --parents deep/one/two/file glob/*.log /p/\nCOPY --parents deep/./one /q/',
    peer: 'FROM base:1\nCOPY deep/one/two/file /p/deep/one/two/file\nCOPY glob/*.log /p/glob/\nCOPY deep/one /q/one',
    differs: { history: 'two instructions against three' },
  },
  'COPY with heredocs': {
    dockerfile:
      'FROM base:1\nARG A=1\nCOPY <<EOF <<"RAW" /here/\na is $A\nEOF\nraw $A\nRAW\nCOPY --chmod=755 <<-S /s\n\t#!/bin/sh\n\tS',
    peer: 'FROM base:1\nARG A=1\nRUN mkdir /here && echo "a is 1" > /here/EOF && echo \'raw $A\' > /here/RAW\nRUN echo "#!/bin/sh" > /s && chmod 755 /s',
  },

  // ADD
  'ADD of a tar': { dockerfile: 'FROM base:1\nADD archive.tar /un/' },
  'ADD of compressed tars': {
    dockerfile: 'FROM base:1\nADD archive.tar.gz /g/\nADD archive.tar.bz2 /b/\nADD archive.tar.xz /x/',
  },
  'ADD of a tar into the root, through a symlink': { dockerfile: 'FROM base:1\nADD archive.tar /' },
  'ADD of a compressed file that is no tar': { dockerfile: 'FROM base:1\nADD plain.gz.txt.gz /x/' },
  'ADD of files and directories': { dockerfile: 'FROM base:1\nADD a dir /d/' },
  'ADD --chown of a tar': {
    differs: {
      '/un/lib/added': members,
      '/un/ping': members,
      '/un/top': members,
      '/un/top/file': members,
      '/un/top/hard': members,
      '/un/top/set': members,
      '/un/top/soft': members,
    },
    dockerfile: 'FROM base:1\nADD --chown=app:staff archive.tar /un/',
  },
  'ADD of a URL': { dockerfile: 'FROM base:1\nADD URL/file /dir/\nADD URL/file /renamed' },
  'ADD --checksum': {
    dockerfile: 'FROM base:1\nADD --checksum=SHA256 URL/file /f',
    peer: 'FROM base:1\nADD URL/file /f',
  },
  'ADD of a tar that a URL has': { dockerfile: 'FROM base:1\nADD URL/archive.tar /t/' },

  // .dockerignore
  '.dockerignore with exceptions': {
    dockerfile: 'FROM base:1\nCOPY . /all/',
    ignore: '# a comment\n*.txt\n!c.txt\ndir\n!dir/sub\nglob/f?.log\n**/file\narchive*\n',
  },
  '.dockerignore of everything but': {
    dockerfile: 'FROM base:1\nCOPY . /all/',
    ignore: '*\n!dir/sub/z\n!a\n',
  },
  'COPY of a glob heeds .dockerignore': {
    dockerfile: 'FROM base:1\nCOPY glob/* /g/',
    ignore: 'glob/f1.log\n',
  },

  // Where and who
  'WORKDIR, relative and with variables': {
    dockerfile: 'FROM base:1\nENV D=sub\nWORKDIR /srv\nWORKDIR $D/x\nRUN pwd > /pwd\nWORKDIR ../y',
  },
  'WORKDIR through a symlink': { dockerfile: 'FROM base:1\nWORKDIR /lib/new/dir\nRUN touch here' },
  "WORKDIR after USER is the user's": { dockerfile: 'FROM base:1\nUSER app\nWORKDIR /srv/app' },
  'USER by name, number and group': {
    dockerfile:
      'FROM base:1\nRUN chmod 1777 /opt\nUSER 1000:50\nRUN id -u > /opt/1; id -g >> /opt/1\nUSER nobody\nRUN id -u > /opt/2\nUSER 4242\nRUN id -u > /opt/3; id -g >> /opt/3\nUSER app:nogroup',
  },

  // What only the config knows
  LABEL: {
    dockerfile:
      'FROM base:1\nLABEL a=1 "b c"="d e" f=\'g\'\nLABEL a=2 multi="one \\\ntwo"\nLABEL old style label',
  },
  '--label': {
    differs: { history: 'buildah counts a label from the command line as an instruction' },
    dockerfile: 'FROM base:1\nLABEL a=1',
    labels: { a: '2', b: 'x=y' },
  },
  EXPOSE: {
    differs: { ExposedPorts: 'docker and we write every port of a range' },
    dockerfile: 'FROM base:1\nARG P=99\nEXPOSE 80 443/tcp 53/udp\nEXPOSE $P\nEXPOSE 8000-8002',
  },
  VOLUME: {
    dockerfile: 'FROM base:1\nVOLUME ["/v 1", "/v2"]\nVOLUME /v3 /v4',
    differs: { '/v3': volumes, '/v4': volumes },
  },
  'ENTRYPOINT and CMD in exec form': {
    dockerfile: 'FROM base:1\nENTRYPOINT ["/bin/echo", "a b"]\nCMD ["c", "d"]',
  },
  'ENTRYPOINT and CMD in shell form': { dockerfile: 'FROM base:1\nENTRYPOINT echo "$HOME"\nCMD echo hi' },
  'the last CMD counts': { dockerfile: 'FROM base:1\nCMD ["one"]\nCMD ["two"]' },
  'ENTRYPOINT forgets the CMD of the base': {
    parent: 'FROM base:1\nCMD ["of the base"]',
    dockerfile: 'FROM parent\nENTRYPOINT ["/bin/echo"]',
  },
  STOPSIGNAL: { dockerfile: 'FROM base:1\nSTOPSIGNAL SIGTERM\nSTOPSIGNAL 9' },
  HEALTHCHECK: {
    dockerfile:
      'FROM base:1\nHEALTHCHECK --interval=1m30s --timeout=3s --start-period=2s --retries=4 CMD ["true", "x"]',
  },
  'HEALTHCHECK in shell form, and none': {
    dockerfile:
      'FROM base:1 AS one\nHEALTHCHECK CMD wget -q localhost || exit 1\nFROM one\nRUN true\nFROM one\nHEALTHCHECK NONE',
  },
  SHELL: {
    differs: { Cmd: 'docker and we use SHELL, buildah always /bin/sh', Entrypoint: 'as Cmd' },
    dockerfile: 'FROM base:1\nSHELL ["/bin/ash", "-c"]\nCMD echo x\nENTRYPOINT echo y',
  },
  'ONBUILD is kept': { dockerfile: 'FROM base:1\nONBUILD RUN echo triggered > /t\nONBUILD COPY a /a' },
  'ONBUILD is carried out by who builds on it': {
    parent: 'FROM base:1\nONBUILD RUN echo triggered > /t\nONBUILD COPY a /from-context\nONBUILD ENV T=1',
    dockerfile: 'FROM parent\nRUN cat /t > /seen',
  },
  "a base's config is inherited": {
    parent:
      'FROM base:1\nENV A=1\nWORKDIR /srv\nUSER app\nEXPOSE 80\nVOLUME /vol\nLABEL l=1\nENTRYPOINT ["e"]\nCMD ["c"]\nSTOPSIGNAL 9\nSHELL ["/bin/ash","-c"]',
    dockerfile: 'FROM parent\nRUN pwd > /tmp/pwd\nLABEL m=2',
    differs: { '/vol': volumes },
  },
  MAINTAINER: { dockerfile: 'FROM base:1\nMAINTAINER someone <s@example.org>' },
  'the escape directive': {
    differs: { Env: 'docker and we heed the directive in variables, too' },
    dockerfile: '# escape=`\nFROM base:1\nRUN echo one > /a && `\n  echo C:\\\\dir >> /a\nENV A=a`$b',
  },
  '--squash': { dockerfile: 'FROM base:1\nRUN touch /a /b\nRUN rm /a\nCOPY dir /d', squash: true },
  'instructions in small letters': { dockerfile: 'from base:1\nrun touch /a\ncopy a /b\nenv X=1' },
};
