import { describe, expect, test } from 'vitest';
import { ImgbootError } from '../../errors.ts';
import type { Instruction } from './instruction.ts';
import { parseDockerfile, parseTrigger } from './parse-dockerfile.ts';
import { runScript } from './run-script.ts';

/** The one instruction after FROM. */
function parseOne(text: string): Instruction {
  const { stages } = parseDockerfile(`FROM scratch\n${text}`, 'Dockerfile');
  expect(stages[0]!.instructions).toHaveLength(1);
  return stages[0]!.instructions[0]!;
}

function parseAll(text: string): Instruction[] {
  return parseDockerfile(`FROM scratch\n${text}`, 'Dockerfile').stages[0]!.instructions;
}

function failure(text: string): ImgbootError {
  try {
    parseDockerfile(text, 'Dockerfile');
  } catch (error) {
    if (error instanceof ImgbootError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('structure', () => {
  test('a Dockerfile is divided into stages', () => {
    const dockerfile = parseDockerfile(
      `# a comment
ARG VERSION=12 \\
    SUITE
FROM --platform=$BUILDPLATFORM debian:$VERSION AS Build
RUN make

from build
copy --from=build /a /b
`,
      'D',
    );
    expect(dockerfile).toEqual({
      file: 'D',
      escape: '\\',
      globalArgs: [
        {
          file: 'D',
          line: 2,
          endLine: 3,
          text: 'ARG VERSION=12     SUITE',
          kind: 'ARG',
          pairs: [
            { name: 'VERSION', default: '12' },
            { name: 'SUITE', default: undefined },
          ],
        },
      ],
      stages: [
        {
          file: 'D',
          line: 4,
          endLine: 4,
          text: 'FROM --platform=$BUILDPLATFORM debian:$VERSION AS Build',
          index: 0,
          name: 'build',
          from: 'debian:$VERSION',
          platform: '$BUILDPLATFORM',
          instructions: [expect.objectContaining({ kind: 'RUN', command: 'make', line: 5 })],
        },
        {
          file: 'D',
          line: 7,
          endLine: 7,
          text: 'from build',
          index: 1,
          name: undefined,
          from: 'build',
          platform: undefined,
          instructions: [expect.objectContaining({ kind: 'COPY', from: 'build', sources: ['/a'] })],
        },
      ],
    });
  });

  test.each([
    ['continued', 'RUN a \\\n  b', 'a   b'],
    ['continued with blanks after the escape', 'RUN a \\ \t\n  b', 'a   b'],
    ['continued over a comment and a blank line', 'RUN a && \\\n# no\n\n  # no\n  b', 'a &&   b'],
    ['a # within a line is no comment', 'RUN a # b', 'a # b'],
    ['CRLF', 'RUN a \\\r\n  b\r\n', 'a   b'],
    ['continued to the end of the file', 'RUN a \\', 'a'],
    ['an escaped escape does not continue', 'RUN a \\\\\nUSER b', 'a \\\\'],
    ['indented', '   RUN a', 'a'],
    ['tabs', 'RUN\ta', 'a'],
    ['in the middle of the keyword', 'RU\\\nN a', 'a'],
    ['blanks at the end', 'RUN a   ', 'a'],
  ])('%s', (_, text, command) => {
    expect(parseAll(text)[0]).toMatchObject({ kind: 'RUN', form: 'shell', command });
  });

  test('the escape directive makes the backquote continue lines', () => {
    const text = '# syntax=docker/dockerfile:1\n# Escape = `\nFROM scratch\nRUN a `\n b \\\nUSER c:\\d\n';
    const { escape, stages } = parseDockerfile(text, 'D');
    expect(escape).toBe('`');
    expect(stages[0]!.instructions).toMatchObject([{ command: 'a  b \\' }, { user: 'c:\\d' }]);
  });

  test.each([
    ['after another comment', '# hello\n# escape=`\n'],
    ['after a blank line', '\n# escape=`\n'],
    ['after an unknown directive', '# foo=bar\n# escape=`\n'],
    ['with more words before the =', '# escape character = `\n'],
  ])('%s, there is no escape directive', (_, head) => {
    expect(parseDockerfile(`${head}FROM scratch`, 'D').escape).toBe('\\');
  });

  test('a byte order mark is no part of the first word', () => {
    expect(parseDockerfile('\uFEFFFROM scratch', 'D').stages[0]!.from).toBe('scratch');
  });
});

describe('instructions', () => {
  test.each<[string, object]>([
    ['RUN echo "a b"', { kind: 'RUN', form: 'shell', command: 'echo "a b"', heredocs: [], mounts: [] }],
    ['RUN ["a", "b\\u0063"]', { form: 'exec', command: ['a', 'bc'] }],
    ["RUN ['a']", { form: 'shell', command: "['a']" }],
    ['RUN [ -e x ]', { form: 'shell', command: '[ -e x ]' }],
    ['RUN --network=none --security=insecure a', { network: 'none', security: 'insecure', command: 'a' }],
    ['RUN a', { network: 'default', security: 'sandbox' }],
    ['RUN --mount=type=cache,target=/c a', { mounts: [{ text: 'type=cache,target=/c', from: undefined }] }],
    ['RUN --mount=from=x,target=/c -- --a', { mounts: [{ from: 'x' }], command: '--a' }],
    ['RUN -- --mount=x', { mounts: [], command: '--mount=x' }],
    ['CMD ["a"]', { kind: 'CMD', form: 'exec', command: ['a'] }],
    ['CMD []', { kind: 'CMD', form: 'exec', command: [] }],
    ['CMD a b', { kind: 'CMD', form: 'shell', command: 'a b' }],
    ['ENTRYPOINT ["a", "b"]', { kind: 'ENTRYPOINT', form: 'exec', command: ['a', 'b'] }],
    ['ENTRYPOINT exec a', { kind: 'ENTRYPOINT', form: 'shell', command: 'exec a' }],
    ['SHELL ["/bin/bash", "-c"]', { kind: 'SHELL', shell: ['/bin/bash', '-c'] }],
    [
      'COPY a b c/',
      { kind: 'COPY', sources: ['a', 'b'], destination: 'c/', files: [], link: false, parents: false },
    ],
    ['COPY ["a b", "c"]', { sources: ['a b'], destination: 'c' }],
    [
      'COPY --from=0 --chown=1:2 --chmod=u+x --link --parents --exclude=*.o --exclude="b c" a b',
      { from: '0', chown: '1:2', chmod: 'u+x', link: true, parents: true, exclude: ['*.o', 'b c'] },
    ],
    ['COPY --link=false a b', { link: false }],
    ['COPY my\\ file b', { sources: ['my\\', 'file'], destination: 'b' }],
    [
      'ADD --checksum=sha256:00 --keep-git-dir=true --unpack https://x/y /z',
      { kind: 'ADD', checksum: 'sha256:00', keepGitDir: true, unpack: true, sources: ['https://x/y'] },
    ],
    [
      'ADD a b',
      { kind: 'ADD', unpack: undefined, keepGitDir: undefined, checksum: undefined, chown: undefined },
    ],
    ['ENV a=b', { kind: 'ENV', pairs: [{ name: 'a', value: 'b' }] }],
    ['ENV a b  c', { pairs: [{ name: 'a', value: 'b  c' }] }],
    [
      'ENV a="b c" d=\'e f\' g=h\\ i j=',
      {
        pairs: [
          { name: 'a', value: '"b c"' },
          { name: 'd', value: "'e f'" },
          { name: 'g', value: 'h\\ i' },
          { name: 'j', value: '' },
        ],
      },
    ],
    ['ENV a=b=c', { pairs: [{ name: 'a', value: 'b=c' }] }],
    ['LABEL "com.x y"=z', { kind: 'LABEL', pairs: [{ name: '"com.x y"', value: 'z' }] }],
    [
      'ARG a b= c="d e"',
      {
        kind: 'ARG',
        pairs: [
          { name: 'a', default: undefined },
          { name: 'b', default: '' },
          { name: 'c', default: '"d e"' },
        ],
      },
    ],
    ['WORKDIR /a b', { kind: 'WORKDIR', path: '/a b' }],
    ['USER $a:b', { kind: 'USER', user: '$a:b' }],
    ['EXPOSE 80 443/tcp $P', { kind: 'EXPOSE', ports: ['80', '443/tcp', '$P'] }],
    ['VOLUME /a /b', { kind: 'VOLUME', paths: ['/a', '/b'] }],
    ['VOLUME ["/a b"]', { kind: 'VOLUME', paths: ['/a b'] }],
    ['STOPSIGNAL SIGRTMIN+3', { kind: 'STOPSIGNAL', signal: 'SIGRTMIN+3' }],
    ['MAINTAINER A B <a@b>', { kind: 'MAINTAINER', name: 'A B <a@b>' }],
    ['HEALTHCHECK NONE', { kind: 'HEALTHCHECK', check: 'none' }],
    [
      'HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=0 --start-interval=1.5s --retries=3 CMD a b',
      {
        check: {
          test: ['CMD-SHELL', 'a b'],
          interval: 90_000_000_000,
          timeout: 500_000_000,
          startPeriod: 0,
          startInterval: 1_500_000_000,
          retries: 3,
        },
      },
    ],
    [
      'HEALTHCHECK cmd ["a"]',
      {
        check: { test: ['CMD', 'a'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 },
      },
    ],
    [
      'ONBUILD  COPY . /app',
      {
        kind: 'ONBUILD',
        trigger: 'COPY . /app',
        instruction: expect.objectContaining({ kind: 'COPY', line: 2 }),
      },
    ],
  ])('%s', (text, expected) => {
    expect(parseOne(text)).toMatchObject(expected);
  });
});

describe('heredocs', () => {
  test.each<[string, string, object[]]>([
    ['empty', 'RUN <<E\nE', [{ name: 'E', content: '', expand: true, stripTabs: false }]],
    ['with a descriptor', 'RUN 3<<E\nE', [{ name: 'E', fileDescriptor: 3 }]],
    ['with its lines as they are', 'RUN <<E\n\ta \\\n# b\n\nE', [{ content: '\ta \\\n# b\n\n' }]],
    ['<<- may have tabs before its end', 'RUN <<-E\n\ta\n\tE', [{ content: '\ta\n', stripTabs: true }]],
    ['quoted', "RUN <<'E'\n$a\nE", [{ name: 'E', expand: false, content: '$a\n' }]],
    ['partly quoted', "RUN <<eo'f'\nx\neof", [{ name: 'eof', expand: false }]],
    ['with an escaped quote', "RUN <<eo\\'f\nx\neo'f", [{ name: "eo'f", expand: true }]],
    ['with two words in quotes', "RUN <<'one two'\nx\none two", [{ name: 'one two', expand: false }]],
    ['with a dollar', 'RUN <<$E\n$E', [{ name: '$E', expand: true }]],
    ['with blanks before the name', 'RUN <<  E  > x\nE', [{ name: 'E' }]],
    ['in the middle', 'RUN <<E python3\nx\nE', [{ name: 'E', content: 'x\n' }]],
    [
      'two',
      'RUN cat <<A <<-B\na\nA\n\tb\nB',
      [
        { name: 'A', content: 'a\n' },
        { name: 'B', content: '\tb\n' },
      ],
    ],
    ['after a flag', 'RUN --mount=type=cache,target=/x <<E\nE', [{ name: 'E' }]],
    ['in quotes: none', 'RUN echo "a <<E"', []],
    ['a here-string: none', 'RUN cat <<<"a"', []],
    ['in JSON: none', 'RUN ["a", "<<E"]', []],
    ['with an open quote: none', 'RUN echo "<<E', []],
    ['CRLF', 'RUN <<E\r\na\r\nE\r\n', [{ name: 'E', content: 'a\r\n' }]],
  ])('%s', (_, text, heredocs) => {
    expect(parseOne(text)).toMatchObject({ kind: 'RUN', heredocs });
  });

  test('an instruction ends with its last heredoc', () => {
    expect(parseAll('RUN <<E\na\nE\nUSER b')).toMatchObject([
      { line: 2, endLine: 4, text: 'RUN <<E' },
      { line: 5, endLine: 5, kind: 'USER' },
    ]);
  });

  test('COPY takes its files from heredocs', () => {
    expect(parseOne('COPY x <<A <<-"B" /d/\n"a"\nA\n\t\tb $c\nB')).toMatchObject({
      sources: ['x'],
      files: [
        { name: 'A', content: '"a"\n', expand: true },
        { name: 'B', content: 'b $c\n', expand: false },
      ],
      destination: '/d/',
    });
  });

  test('ONBUILD keeps the heredocs in its trigger, which can be read again', () => {
    const text = 'COPY <<A /d\na\nA';
    const onbuild = parseOne(`ONBUILD ${text}`);
    expect(onbuild).toMatchObject({ trigger: text, instruction: { files: [{ name: 'A', content: 'a\n' }] } });
    const { stages } = parseDockerfile('\nFROM x', 'D');
    expect(parseTrigger(text, stages[0]!)).toMatchObject({
      kind: 'COPY',
      file: 'D',
      line: 2,
      text: 'COPY <<A /d',
      files: [{ name: 'A', content: 'a\n' }],
    });
  });

  test.each<[string, object]>([
    ['RUN a b', { kind: 'shell', script: 'a b' }],
    ['RUN ["a", "b"]', { kind: 'exec', argv: ['a', 'b'] }],
    ['RUN <<E\na\nb\nE', { kind: 'shell', script: 'a\nb\n' }],
    ['RUN <<-E\n\ta\nE', { kind: 'shell', script: 'a\n' }],
    [
      'RUN <<-E\n\t#!/bin/awk -f\n\tBEGIN {}\nE',
      { kind: 'file', name: 'E', content: '#!/bin/awk -f\nBEGIN {}\n' },
    ],
    ['RUN cat <<A <<-B\na\nA\n\tb\n\tB', { kind: 'shell', script: 'cat <<A <<-B\na\nA\n\tb\nB' }],
    ['RUN <<E > x\na\nE', { kind: 'shell', script: '<<E > x\na\nE' }],
  ])('%j runs', (text, script) => {
    const run = parseOne(text);
    expect(run.kind === 'RUN' && runScript(run)).toEqual(script);
  });
});

describe('errors', () => {
  test.each([
    ['', 'Dockerfile:1: there is no FROM', 'begin with FROM'],
    ['# only\n', 'Dockerfile:1: there is no FROM', ''],
    ['ARG a\n', 'Dockerfile:1: there is no FROM', ''],
    ['\nRUN a', 'Dockerfile:2: RUN before the first FROM: RUN a', 'only ARG may stand before FROM'],
    [
      'FROM x\n\nRUNN a',
      'Dockerfile:3: unknown instruction RUNN: RUNN a',
      'did you mean RUN? allowed: ADD, ARG',
    ],
    ['FROM x\nCOYP a b', 'Dockerfile:2: unknown instruction COYP: COYP a b', 'did you mean COPY?'],
    ['FROM x\n{', 'Dockerfile:2: unknown instruction {: {', 'allowed: ADD'],
    ['FROM', 'Dockerfile:1: FROM takes an image, and perhaps AS and a name: FROM', 'write FROM IMAGE'],
    ['FROM a b c', 'Dockerfile:1: FROM takes an image, and perhaps AS and a name: FROM a b c', ''],
    ['FROM a as 1b', 'Dockerfile:1: 1b cannot name a stage: FROM a as 1b', 'begins with a letter'],
    ['FROM a AS b\nFROM c AS B', 'Dockerfile:2: a stage b already begins at line 1: FROM c AS B', ''],
    [
      'FROM --plattform=x a',
      'Dockerfile:1: unknown flag --plattform: FROM --plattform=x a',
      'did you mean --platform?',
    ],
    ['FROM x\nRUN', 'Dockerfile:2: the command is missing: RUN', ''],
    ['FROM x\nRUN []', 'Dockerfile:2: the command is missing: RUN []', ''],
    ['FROM x\nCMD [1]', 'Dockerfile:2: a JSON array of an instruction holds strings only: CMD [1]', ''],
    ['FROM x\nCOPY a', 'Dockerfile:2: it takes at least a source and a destination: COPY a', ''],
    [
      'FROM x\nCOPY --form=a b c',
      'Dockerfile:2: unknown flag --form: COPY --form=a b c',
      'did you mean --from?',
    ],
    [
      'FROM x\nCOPY --from b c',
      'Dockerfile:2: --from lacks its value: COPY --from b c',
      'write --from=VALUE',
    ],
    [
      'FROM x\nCOPY --from=$a b c',
      'Dockerfile:2: --from has no variables: COPY --from=$a b c',
      'name a stage',
    ],
    ['FROM x\nCOPY --chown=a --chown=b c d', 'Dockerfile:2: --chown stands twice: COPY', ''],
    ['FROM x\nCOPY --link=x c d', 'Dockerfile:2: --link is true or false, not "x": COPY', ''],
    ['FROM x\nCOPY <<A <<B\nA\nB', 'Dockerfile:2: a heredoc cannot be the destination: COPY <<A <<B', ''],
    ['FROM x\nCOPY <<../a /b\n../a', 'Dockerfile:2: the heredoc ../a cannot name a file', ''],
    [
      'FROM x\nRUN <<E\na',
      'Dockerfile:2: the heredoc E does not end: RUN <<E',
      'end it with a line that is E',
    ],
    ['FROM x\nENV --a=b c=d', 'Dockerfile:2: unknown flag --a: ENV --a=b c=d', 'ENV has no flags'],
    ['FROM x\nENV', 'Dockerfile:2: the arguments are missing: ENV', 'write NAME=VALUE'],
    ['FROM x\nENV a', 'Dockerfile:2: a has no value: ENV a', ''],
    ['FROM x\nENV a=b c', 'Dockerfile:2: there is no = in c: ENV a=b c', 'quotes'],
    ['FROM x\nENV =b', 'Dockerfile:2: a name is empty: ENV =b', ''],
    ['FROM x\nSHELL bash', 'Dockerfile:2: it takes a JSON array: SHELL bash', 'SHELL ["/bin/bash", "-c"]'],
    ['FROM x\nUSER', 'Dockerfile:2: the argument is missing: USER', ''],
    ['FROM x\nVOLUME [""]', 'Dockerfile:2: a volume has an empty path: VOLUME [""]', ''],
    ['FROM x\nHEALTHCHECK a', 'Dockerfile:2: neither CMD nor NONE: HEALTHCHECK a', ''],
    ['FROM x\nHEALTHCHECK NONE a', 'Dockerfile:2: NONE takes no arguments', ''],
    ['FROM x\nHEALTHCHECK --interval=1 CMD a', 'Dockerfile:2: not a duration: "1": HEALTHCHECK', 'write 30s'],
    ['FROM x\nHEALTHCHECK --interval=1ns CMD a', 'Dockerfile:2: a duration cannot be less than 1ms: 1ns', ''],
    ['FROM x\nHEALTHCHECK --retries=-1 CMD a', 'Dockerfile:2: --retries is a number, not "-1"', ''],
    ['FROM x\nONBUILD', 'Dockerfile:2: the instruction is missing: ONBUILD', ''],
    ['FROM x\nONBUILD ONBUILD RUN a', 'Dockerfile:2: ONBUILD cannot be a trigger', ''],
    ['FROM x\nONBUILD FROM a', 'Dockerfile:2: FROM cannot be a trigger', ''],
    ['FROM x\nRUN --network=foo a', 'Dockerfile:2: --network cannot be foo', 'allowed: default, none, host'],
    [
      'FROM x\nRUN --mount=type=cach,target=/a b',
      'Dockerfile:2: unknown mount type "cach"',
      'did you mean cache?',
    ],
    [
      'FROM x\nRUN --mount=tpye=cache,target=/a b',
      'Dockerfile:2: unknown key tpye in --mount',
      'did you mean type?',
    ],
    ['FROM x\nRUN --mount=type=cache b', 'Dockerfile:2: a cache mount lacks its target', 'target=DIRECTORY'],
    ['FROM x\nRUN --mount=from=$a,target=/a b', 'Dockerfile:2: from= of a --mount has no variables', ''],
    ['# escape=x\nFROM y', 'Dockerfile:1: invalid escape character x: # escape=x', ''],
    ['# escape=`\n# escape=`\nFROM y', 'Dockerfile:2: the directive escape stands twice', ''],
  ])('%j', (text, message, hint) => {
    const error = failure(text);
    expect(error.code).toBe('IMGBOOT_DOCKERFILE');
    expect(error.message).toContain(message);
    expect(error.hint ?? '').toContain(hint);
  });

  test('a long instruction is cut in the message', () => {
    expect(failure(`FROM x\nFOO ${'a'.repeat(1000)}`).message.length).toBeLessThan(160);
  });
});
