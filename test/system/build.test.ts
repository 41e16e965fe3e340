import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBaseTar } from '../support/build-fixtures.ts';
import { writeTree, type FileTree } from '../support/file-tree.ts';
import { chooseRuntime } from '../../src/container/runtime.ts';
import { repository } from '../support/paths.ts';
import { registry } from '../support/registry.ts';
import { build, type BuildWish } from '../support/run-build.ts';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { tar } from '../support/tar-builder.ts';
import {
  TestStore,
  drivers,
  leftovers,
  storeFilesystem,
  type StoreFilesystem,
} from '../support/test-store.ts';

const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' };
const imgboot = path.join(repository, 'bin/imgboot');

describe.each(drivers)('imgboot build, $driver', (driverCase) => {
  let filesystem: StoreFilesystem;
  let seed: TestStore;
  let base: string;

  beforeAll(async () => {
    filesystem = await storeFilesystem(driverCase);
    base = await makeBaseTar(filesystem.mountPoint);
    seed = await storeWithBase();
  });

  afterAll(async () => {
    await filesystem[Symbol.asyncDispose]();
  });

  async function storeWithBase(): Promise<TestStore> {
    const store = filesystem.store();
    await store.cliOk('import', ['-m', 'the base', base, 'base:1'], { env: EPOCH });
    return store;
  }

  /** A context with a Dockerfile and these files. */
  function context(dockerfile: string, files: FileTree = {}): string {
    const directory = filesystem.directory('context');
    writeTree(directory, { Dockerfile: dockerfile, ...files });
    return directory;
  }

  async function failure(wish: BuildWish): Promise<string> {
    try {
      await build(seed, wish);
    } catch (error) {
      return `${String((error as { code?: unknown }).code)} ${(error as Error).message}`;
    }
    return 'no failure';
  }

  describe('what cannot be built', () => {
    const cases: Record<string, { dockerfile: string; files?: FileTree; says: RegExp }> = {
      'an unknown instruction': {
        dockerfile: 'FROM base:1\nRUM true',
        says: /IMGBOOT_DOCKERFILE Dockerfile:2: .*RUM/,
      },
      'a file that is not there': {
        dockerfile: 'FROM base:1\n\nCOPY nothing /x',
        says: /Dockerfile:3: nothing is not in the build context/,
      },
      'a source that climbs out': {
        dockerfile: 'FROM base:1\nCOPY ../../etc/passwd /x',
        says: /climbs out of the build context/,
      },
      'a mount that climbs out': {
        dockerfile: 'FROM base:1\nRUN --mount=type=bind,source=../..,target=/mnt ls /mnt',
        says: /climbs out of the build context/,
      },
      'stages in a circle': {
        dockerfile: 'FROM base:1 AS a\nCOPY --from=b /x /x\nFROM a AS b\nRUN true',
        says: /Dockerfile:2: circular/,
      },
      'an image that nobody has': { dockerfile: 'FROM dir:/nowhere/at/all', says: /nowhere/ },
      'an unknown user': { dockerfile: 'FROM base:1\nUSER ghost\nRUN true', says: /no user "ghost"/ },
      'an unknown owner': {
        dockerfile: 'FROM base:1\nCOPY --chown=ghost Dockerfile /',
        says: /no user "ghost"/,
      },
      'a secret that was not given': {
        dockerfile: 'FROM base:1\nRUN --mount=type=secret,id=s,required true',
        says: /IMGBOOT_NO_SECRET/,
      },
      'a repository for ADD': {
        dockerfile: 'FROM base:1\nADD https://example.org/x.git /x',
        says: /does not clone/,
      },
      'a clone with its history': {
        dockerfile: 'FROM base:1\nADD --keep-git-dir Dockerfile /x',
        says: /--keep-git-dir is not supported/,
      },
      'a checksum of no URL': {
        dockerfile: `FROM base:1\nADD --checksum=sha256:${'0'.repeat(64)} Dockerfile /x`,
        says: /--checksum is for one URL/,
      },
      'a name that deletes in a layer': {
        dockerfile: 'FROM base:1\nRUN touch /.wh.x',
        says: /\.wh\.x/,
      },
    };

    it.each(Object.entries(cases))('%s', async (_name, { dockerfile, files, says }) => {
      const before = await seed.state();
      expect(await failure({ context: context(dockerfile, files) })).toMatch(says);
      expect(await seed.state()).toEqual(before);
    });

    it('a command that fails: its line, its words, its status', async () => {
      const message = await failure({
        context: context('FROM base:1\n\nRUN echo broken pipe wrench; exit 42'),
      });
      expect(message).toMatch(
        /Dockerfile:3: RUN echo .*exit status 42; it last printed:\s+broken pipe wrench/s,
      );
    });

    it('a command that is killed', async () => {
      expect(await failure({ context: context('FROM base:1\nRUN sleep 9 & kill -9 $!; wait $!') })).toMatch(
        /exit status 137/,
      );
    });

    it('more layers than an image can have', async () => {
      const lines = Array.from({ length: 130 }, (_, index) => `COPY Dockerfile /f${index}`);
      expect(await failure({ context: context(`FROM base:1\n${lines.join('\n')}`) })).toMatch(
        /IMGBOOT_TOO_MANY_LAYERS Dockerfile:128: /,
      );
    });
  });

  describe('what is hostile', () => {
    it('a symlink of the context leads nowhere else', async () => {
      const directory = context('FROM base:1\nCOPY . /all/\n');
      symlinkSync('/etc', path.join(directory, 'out'));
      symlinkSync('../../../../../../etc/hostname', path.join(directory, 'up'));
      await build(seed, { context: directory, references: ['linked'] });
      expect(await seed.read('linked', ['all/out', 'all/up'])).toEqual([
        '-> /etc',
        '-> ../../../../../../etc/hostname',
      ]);
      writeFileSync(path.join(directory, 'Dockerfile'), 'FROM base:1\nCOPY out/hostname up /x/\n');
      expect(await failure({ context: directory })).toMatch(/is not in the build context/);
    });

    it('a .dockerignore of many stars takes no time', async () => {
      const directory = context('FROM base:1\nCOPY . /all/\n', {
        '.dockerignore': `${'**/*a'.repeat(20)}b\n${'*'.repeat(200)}c\n`,
        ['a'.repeat(120)]: 'x',
      });
      const started = performance.now();
      await build(seed, { context: directory });
      expect(performance.now() - started).toBeLessThan(20_000);
    });

    it.each([
      ['../../../outside', { path: '../../../../../../tmp/imgboot-evil', content: 'x' }],
      ['/absolute', { path: '/imgboot-evil', content: 'x' }],
    ])('an archive with %s stays below its destination', async (_name, entry) => {
      const directory = context('FROM base:1\nADD a.tar /un/\n', { 'a.tar': tar(entry) });
      await build(seed, { context: directory, references: ['evil'] });
      expect(await seed.read('evil', ['imgboot-evil', 'tmp/imgboot-evil'])).toEqual([undefined, undefined]);
      expect(readdirSync('/tmp')).not.toContain('imgboot-evil');
    });

    it('an archive with a symlink for a parent stays inside the image', async () => {
      const directory = context('FROM base:1\nADD a.tar /un/\n', {
        'a.tar': tar({ path: 'l', type: 'symlink', link: '/tmp' }, { path: 'l/imgboot-evil', content: 'x' }),
      });
      await build(seed, { context: directory, references: ['evil'] });
      expect(await seed.read('evil', ['tmp/imgboot-evil'])).toEqual(['x']);
      expect(readdirSync('/tmp')).not.toContain('imgboot-evil');
    });

    it("an image's own symlinks are followed inside it", async () => {
      writeFileSync(path.join(filesystem.mountPoint, 'passwd'), 'evil:x:0:0::/:/bin/sh\n');
      const directory = context(
        [
          'FROM base:1',
          `RUN rm /etc/passwd /etc/resolv.conf && ln -s ${filesystem.mountPoint}/passwd /etc/passwd`,
          'RUN ln -s /run/nowhere/stub-resolv.conf /etc/resolv.conf; ln -s ../../../../../../../../tmp /w',
          'WORKDIR /w/imgboot-evil-dir',
          'RUN touch here; cat /etc/resolv.conf > /dev/null',
        ].join('\n'),
      );
      // What is mounted over cannot be removed: the first RUN fails as it does under docker.
      expect(await failure({ context: directory })).toMatch(/resolv.conf/);
      const own = tar(
        { path: 'etc/passwd', type: 'symlink', link: `${filesystem.mountPoint}/passwd` },
        { path: 'etc/resolv.conf', type: 'symlink', link: '/run/nowhere/stub-resolv.conf' },
        { path: 'w', type: 'symlink', link: '../../../../../../../../tmp' },
      );
      const lines =
        'FROM base:1\nADD own.tar /\nWORKDIR /w/imgboot-evil-dir\nRUN touch here; cat /etc/resolv.conf > x';
      await build(seed, { context: context(lines, { 'own.tar': own }), references: ['links'] });
      expect(
        await seed.read('links', ['etc/resolv.conf', 'run/nowhere', 'tmp/imgboot-evil-dir/here']),
      ).toEqual(['-> /run/nowhere/stub-resolv.conf', undefined, '']);
      expect(readFileSync('/etc/resolv.conf', 'utf8')).toBe(
        (await seed.read('links', ['tmp/imgboot-evil-dir/x']))[0],
      );
      expect(readdirSync('/tmp')).not.toContain('imgboot-evil-dir');
      const asEvil = context('FROM links\nUSER evil\nRUN true');
      expect(await failure({ context: asEvil })).toMatch(/no user "evil"/);
    });

    it('a RUN has no way to the disks of the host', async () => {
      const lines = [
        'FROM base:1',
        'RUN mknod /d b 7 0; dd if=/d of=/dev/null count=1; mount -t tmpfs x /opt; echo x > /proc/sys/kernel/hostname; rm /d',
      ];
      const said: string[] = [];
      await build(seed, { context: context(lines.join('\n')), onLine: ({ text }) => said.push(text) });
      expect(said.filter((line) => /not permitted|denied|Read-only/.test(line))).toHaveLength(3);
    });
  });

  describe('secrets', () => {
    it('are in no file of the store, however they were used', async () => {
      const word = 'kept-from-every-layer-4711';
      const file = path.join(filesystem.directory('secret'), 'file');
      writeFileSync(file, word);
      const store = await storeWithBase();
      const dockerfile = [
        'FROM base:1',
        'RUN --mount=type=secret,id=f wc -c < /run/secrets/f > /size',
        'RUN --mount=type=secret,id=v,env=TOKEN echo ${#TOKEN} >> /size; ls -a /run > /names',
        'RUN --mount=type=secret,id=f,target=/root/.token,mode=0444,uid=1000 stat -c %a:%u /root/.token >> /size',
      ].join('\n');
      const said: string[] = [];
      await build(store, {
        context: context(dockerfile),
        references: ['secretive'],
        secrets: [
          { id: 'f', path: file },
          { id: 'v', value: word },
        ],
        onLine: ({ text }) => said.push(text),
      });
      expect(await store.read('secretive', ['size', 'names', 'root/.token', 'run/secrets'])).toEqual([
        `${word.length}\n${word.length}\n444:1000\n`,
        '.\n..\n',
        undefined,
        undefined,
      ]);
      const { exitCode } = await execa('grep', ['-rqF', word, store.path], { reject: false });
      expect(exitCode).toBe(1);
      expect(said.join('\n')).not.toContain(word);
    });
  });

  describe('the cache', () => {
    it('gives the same image again, and a new one when what is copied changes', async () => {
      const store = await storeWithBase();
      const directory = context('FROM base:1\nRUN date +%N > /when\nCOPY file /file\nRUN cat /file > /copy', {
        file: 'one',
      });
      const first = await build(store, { context: directory });
      expect((await build(store, { context: directory })).id).toBe(first.id);
      await execa('touch', ['-d', '2001-01-01', path.join(directory, 'file')]);
      expect((await build(store, { context: directory })).id).toBe(first.id);
      writeFileSync(path.join(directory, 'file'), 'two');
      const changed = await build(store, { context: directory, references: ['changed'] });
      expect(changed.layers[1]!.diffId).toBe(first.layers[1]!.diffId);
      expect(await store.read('changed', ['copy'])).toEqual(['two']);
      expect((await build(store, { context: directory, useCache: false })).id).not.toBe(changed.id);
      await store.cliOk('rmi', ['changed']);
      const pruned = JSON.parse(await store.cliOk('prune', ['--force', '--json'])) as Record<string, unknown>;
      expect(pruned['cachedSteps']).toBeGreaterThan(3);
      expect(store.layers()).toHaveLength(1);
      expect(await store.fsck()).toEqual([]);
    });

    it('a cache mount is kept, shared by two builds, and pruned', async () => {
      const store = await storeWithBase();
      const step = (name: string): string =>
        context(`FROM base:1\nRUN --mount=type=cache,target=/c echo x >> /c/${name}; sleep 1; ls /c > /seen`);
      await Promise.all([build(store, { context: step('one') }), build(store, { context: step('two') })]);
      await build(store, { context: step('three'), references: ['three'] });
      expect(await store.read('three', ['seen', 'c'])).toEqual(['one\nthree\ntwo\n', undefined]);
      expect(await store.cliOk('prune', ['--force'])).toMatch(
        /Removed the build cache: 3 steps, 1 cache mounts/,
      );
    });
  });

  it('what is mounted over a RUN leaves nothing in the layer', async () => {
    const bare = filesystem.directory('bare');
    mkdirSync(path.join(bare, 'bin'));
    cpSync('/bin/busybox', path.join(bare, 'bin/busybox'));
    const store = filesystem.store();
    await store.cliOk('import', [bare, 'bare:1']);
    const shell = '["/bin/busybox", "sh", "-c", "[ -d /proc/1 ] && [ -c /dev/null ] && [ -f /etc/hosts ]"]';
    const image = await build(store, { context: context(`FROM bare:1\nRUN ${shell}`) });
    expect(image.layers).toHaveLength(1);
  });

  it('a process that a RUN leaves behind ends with it', async () => {
    const started = performance.now();
    await build(seed, { context: context('FROM base:1\nRUN sleep 4242 & echo $! > /pid') });
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(await leftovers(seed.path)).toEqual([]);
    expect(containerCgroups()).toEqual([]);
  });

  it('a caller with a strict umask gets the same image', async () => {
    const directory = context('FROM scratch\nCOPY Dockerfile /d/e/\nWORKDIR /w');
    const args = ['build', '--store', seed.path, '--no-cache', directory];
    const { stdout } = await execa('sh', ['-c', 'umask 077; exec "$0" "$@"', imgboot, ...args], {
      env: EPOCH,
    });
    expect(await seed.cliOk('build', ['--no-cache', directory], { env: EPOCH })).toBe(`${stdout}\n`);
  });

  it('enters the step that failed with --on-error shell', async () => {
    const directory = context('FROM base:1\nRUN touch /made && false');
    const result = await seed.cli('build', ['--on-error', 'shell', directory], {
      input: 'ls /made; exit\n',
    });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/\n\/made\n/);
  });

  it('takes its context or its Dockerfile from standard input', async () => {
    const directory = context('FROM base:1\nCOPY sub/file /f', { 'sub/file': 'x' });
    const { stdout } = await execa('tar', ['-C', directory, '-cz', '.'], { encoding: 'buffer' });
    await seed.cliOk('build', ['-t', 'piped', '-'], { input: stdout });
    expect(await seed.read('piped', ['f'])).toEqual(['x']);
    const said = await seed.cli('build', ['-t', 'typed', '--build-arg', 'NOBODY=1', '-'], {
      input: 'FROM base:1\nRUN echo y > /f\n',
    });
    expect(said.stderr).toMatch(/^warning: no ARG asks for NOBODY$/m);
    expect(await seed.read('typed', ['f'])).toEqual(['y\n']);
  });

  it('goes through a registry and comes back the same', async () => {
    await using served = await registry();
    await build(seed, { context: context('FROM base:1\nRUN echo x > /x'), references: ['travels'] });
    const there = `docker://${served.address}/travels:1`;
    await seed.cliOk('push', ['--no-tls-verify', 'travels', there]);
    const other = filesystem.store();
    await other.cliOk('pull', ['--no-tls-verify', there]);
    const own = seed.store.image('travels');
    const back = other.store.images()[0]!;
    // Registries get layers compressed: the image is the same, its manifest another.
    expect([back.id, back.layers.map(({ diffId }) => diffId)]).toEqual([
      own.id,
      own.layers.map(({ diffId }) => diffId),
    ]);
    const layout = (name: string): string => `oci:${path.join(filesystem.mountPoint, name)}:1`;
    const exact = ['copy', '--quiet', '--preserve-digests'];
    const source = `oci:${seed.path}/oci:travels:latest`;
    const place = `docker://${served.address}/exact:1`;
    await execa('skopeo', [...exact, '--dest-tls-verify=false', source, place]);
    await execa('skopeo', [...exact, '--src-tls-verify=false', place, layout('back')]);
    const { stdout } = await execa('skopeo', ['inspect', '--format', '{{.Digest}}', layout('back')]);
    expect(stdout).toBe(own.descriptor.digest);
  });

  it('runs under podman', async () => {
    await build(seed, {
      context: context(
        'FROM base:1\nRUN echo hello > /greeting\nENV WHO=world\nCMD cat /greeting; echo $WHO',
      ),
      references: ['elsewhere'],
    });
    const [root, runRoot] = [filesystem.directory('podman'), filesystem.directory('podman-run')];
    const name = 'localhost/elsewhere:1';
    const there = `containers-storage:[overlay@${root}+${runRoot}]${name}`;
    await execa('skopeo', ['copy', '--quiet', `oci:${seed.path}/oci:elsewhere:latest`, there]);
    const podman = ['--root', root, '--runroot', runRoot, '--storage-driver', 'overlay'];
    const host = [
      '--runtime',
      (await chooseRuntime()).program,
      '--cgroup-manager',
      'cgroupfs',
      '--events-backend',
      'none',
    ];
    // Podman's own limits are over what some hosts let anyone have.
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
    const run = ['run', '--rm', '--network', 'none', '--log-driver', 'k8s-file', ...limits, name];
    const { stdout } = await execa('podman', [...podman, ...host, ...run]);
    await execa('umount', [path.join(root, 'overlay')], { reject: false });
    expect(stdout).toBe('hello\nworld');
  });

  it('two and eight builds of the same Dockerfile at once', async () => {
    const store = await storeWithBase();
    const directory = context(
      'FROM base:1\nRUN echo $RANDOM > /r; dd if=/dev/urandom of=/u bs=64k count=4\nCOPY . /c/',
    );
    for (const count of [2, 8]) {
      const wish = { context: directory, useCache: count === 2 };
      const images = await Promise.all(
        Array.from({ length: count }, async (_, index) =>
          build(store, { ...wish, references: [`at-once-${index}`] }),
        ),
      );
      expect(images).toHaveLength(count);
    }
    expect(await store.fsck()).toEqual([]);
    expect(await leftovers(store.path)).toEqual([]);
  });

  it('killed at any point it leaves nothing, and the cache is right', { timeout: 180_000 }, async () => {
    const store = await storeWithBase();
    const lines = [
      'FROM base:1',
      'RUN dd if=/dev/zero of=/a bs=1M count=8; sleep 0.2',
      'COPY . /c/',
      'RUN rm /a; echo x > /b',
    ];
    const directory = context(lines.join('\n'));
    const args = ['build', '--store', store.path, '-t', 'killed', directory];
    for (const delayMs of [150, 350, 500, 650, 800, 1000, 1300]) {
      const child = execa(imgboot, args, { reject: false, env: EPOCH });
      await sleep(delayMs);
      child.kill('SIGKILL');
      await child;
    }
    await sleep(500);
    expect(await leftovers(store.path)).toEqual([]);
    await store.cliOk('build', ['-t', 'killed', directory], { env: EPOCH });
    expect(await store.read('killed', ['a', 'b'])).toEqual([undefined, 'x\n']);
    expect(await store.fsck()).toEqual([]);
    expect(containerCgroups()).toEqual([]);
    const anew = await store.cliOk('build', ['--no-cache', directory], { env: EPOCH });
    expect(anew).toBe(`${store.store.image('killed').id}\n`);
  });

  it('stopped by SIGINT it ends with 130 and leaves nothing', async () => {
    const child = execa(
      imgboot,
      [
        'build',
        '--store',
        seed.path,
        '--no-cache',
        context('FROM base:1\nRUN touch /a\nRUN echo asleep; sleep 4242'),
      ],
      { reject: false },
    );
    for await (const line of child.iterable({ from: 'stderr' }))
      if (line.includes('  asleep')) child.kill('SIGINT');
    expect((await child).exitCode).toBe(130);
    expect(await leftovers(seed.path)).toEqual([]);
    expect(containerCgroups()).toEqual([]);
  });

  it('a full disk fails the step and leaves the store as it was', async () => {
    await using small = await loopFilesystem({ type: driverCase.filesystem, sizeBytes: 150 * 2 ** 20 });
    const store = new TestStore(path.join(small.mountPoint, 'store'));
    await store.cliOk('import', ['-m', 'the base', base, 'base:1'], { env: EPOCH });
    const lines = 'FROM base:1\nRUN dd if=/dev/urandom of=/big bs=1M count=300';
    const result = await store.cli('build', [context(lines)]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/No space left|does not fit/);
    const copy = context('FROM base:1\nCOPY big /big');
    await execa('truncate', ['-s', '300M', path.join(copy, 'big')]);
    expect((await store.cli('build', [copy])).stderr).toMatch(/Dockerfile:2: .*does not fit.*ENOSPC/);
    expect(await store.fsck()).toEqual([]);
    expect(store.layers()).toHaveLength(1);
    const fits = context('FROM base:1\nRUN echo small > /s');
    await store.cliOk('build', ['-t', 'fits', fits]);
  });
});

describe('SOURCE_DATE_EPOCH', () => {
  it('gives the same image ID twice, and with both drivers', async () => {
    const ids = new Set<string>();
    for (const driverCase of drivers) {
      await using filesystem = await storeFilesystem(driverCase);
      const store = filesystem.store();
      const base = await makeBaseTar(filesystem.mountPoint);
      await store.cliOk('import', ['-m', 'the base', base, 'base:1'], { env: EPOCH });
      const directory = filesystem.directory('context');
      const lines = [
        'FROM base:1 AS s',
        'RUN rm -rf /opt/data && mkdir /opt/data && ln /etc/passwd /etc/passwd2 && mv /var/log /var/logs',
        'FROM base:1',
        'COPY --from=s /opt /copied',
        'WORKDIR /w',
        'RUN for i in 3 1 2; do echo $i > f$i; done; rm -r /usr/lib/old; chmod 4711 f1; mkfifo p',
        'LABEL a=b',
      ];
      writeTree(directory, { Dockerfile: lines.join('\n') });
      for (let run = 0; run < 2; run += 1)
        ids.add(await store.cliOk('build', ['--no-cache', directory], { env: EPOCH }));
    }
    expect([...ids]).toHaveLength(1);
  });
});

/** The cgroups that builds of ours have left: other tests may be building at the same time. */
function containerCgroups(): string[] {
  const entries = readdirSync('/sys/fs/cgroup', { withFileTypes: true });
  const hierarchies = ['', ...entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)];
  return hierarchies
    .flatMap((name) => readdirSync(path.join('/sys/fs/cgroup', name)))
    .filter((name) => {
      const owner = /^imgboot-([0-9]+)-/.exec(name)?.[1];
      return owner !== undefined && (Number(owner) === process.pid || !existsSync(`/proc/${owner}`));
    });
}
