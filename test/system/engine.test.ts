import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { subvolumeUuid } from '../../src/system/btrfs.ts';
import { freeBytes } from '../../src/system/free-space.ts';
import { DeployHost, bootableLayer } from '../support/deploy-host.ts';
import { startEngine, type Engine } from '../support/engine.ts';
import { runCli, runCliOk, type CliResult } from '../support/run-cli.ts';
import type { EntrySpec } from '../support/tar-builder.ts';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { storeFilesystem } from '../support/test-store.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const MEBIBYTE = 2 ** 20;

describe.each([
  { engine: 'docker', driver: 'overlay2', store: { driver: 'overlay', filesystem: 'ext4' } },
  { engine: 'docker', driver: 'btrfs', store: { driver: 'btrfs', filesystem: 'btrfs' } },
  { engine: 'podman', driver: 'overlay', store: { driver: 'overlay', filesystem: 'ext4' } },
  { engine: 'podman', driver: 'btrfs', store: { driver: 'btrfs', filesystem: 'btrfs' } },
] as const)('an image in the own store of $engine, with $driver', ({ engine, driver, store: kind }) => {
  const scheme = engine === 'docker' ? 'docker://' : 'containers-storage:';
  const prefix = engine === 'docker' ? '' : 'localhost/';
  let work: TemporaryDirectory;
  let host: DeployHost;
  let started: Engine;
  let data: string;

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    host = await DeployHost.create(kind);
    data = path.join(host.filesystem.mountPoint, 'data');
    mkdirSync(data);
    started = await startEngine(work.path, { engine, driver, place: data });
    await importBase();
    await build(1);
  }, 180_000);
  afterAll(async () => {
    await started[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
    await work[Symbol.asyncDispose]();
  });
  beforeEach(() => rmSync(path.join(work.path, 'out.tar'), { force: true }));

  async function importBase(): Promise<void> {
    const busybox: EntrySpec[] = [
      { path: 'bin/busybox', content: await busyboxBytes(), mode: 0o755 },
      ...['sh', 'cat', 'echo', 'rm', 'mkdir', 'ls'].map((name) => ({
        path: `bin/${name}`,
        type: 'symlink' as const,
        link: 'busybox',
      })),
      { path: 'opt/gone', content: 'gone\n' },
      { path: 'opt/deep/old', content: 'old\n' },
      { path: 'opt/large', content: Buffer.alloc(64 * MEBIBYTE, 7) },
    ];
    writeFileSync(path.join(work.path, 'base.tar'), bootableLayer(1, ...busybox));
    await started.run('import', path.join(work.path, 'base.tar'), 'base:1');
  }

  /** Has the engine make a version of the image demo, of four layers. */
  async function build(number: number): Promise<void> {
    const context = path.join(work.path, 'context');
    mkdirSync(context, { recursive: true });
    writeFileSync(path.join(context, 'number'), `${number}\n`);
    const steps = ['COPY number /etc/number', 'RUN rm /opt/gone', 'RUN rm -r /opt/deep && mkdir /opt/deep'];
    const lines = ['FROM base:1', ...steps, 'CMD ["/bin/cat", "/etc/number"]', ''];
    writeFileSync(path.join(context, 'Dockerfile'), lines.join('\n'));
    await started.run('build', '--quiet', '--network', 'none', '--tag', 'demo', context);
  }

  const environment = (): Record<string, string> => ({
    IMGBOOT_STORE: host.store.path,
    ...(engine === 'docker'
      ? { DOCKER_HOST: `unix://${path.join(work.path, 'docker.sock')}`, IMGBOOT_DOCKER_ROOT: data }
      : { IMGBOOT_PODMAN_ROOT: data }),
  });
  const imgboot = async (...args: string[]): Promise<CliResult> => runCli(args, { env: environment() });
  const imgbootOk = async (...args: string[]): Promise<string> => runCliOk(args, { env: environment() });
  /** The image's ID by the engine's word. */
  const engineId = async (): Promise<string> =>
    `sha256:${(await started.run('inspect', '--type', 'image', '--format', '{{.Id}}', 'demo')).trim().replace('sha256:', '')}`;

  it('is listed under its name', async () => {
    const images = JSON.parse(await imgbootOk('images', '--from', engine, '--json')) as { names: string[] }[];
    expect(images).toContainEqual({
      names: [`${prefix}demo:latest`],
      id: await engineId(),
      created: expect.stringMatching(/^20/),
      layers: 4,
      driver: kind.driver,
    });
    expect(await imgbootOk('images', '--from', engine)).toContain(`${scheme}${prefix}demo:latest `);
  });

  it('runs as a container, without a copy of its files', async () => {
    const before = freeBytes(data);
    expect(await imgbootOk('run', '--rm', `${scheme}demo`)).toBe('1\n');
    // A layer's directories and what the store has of its own; the large file alone has 64 MiB.
    expect(before - freeBytes(data)).toBeLessThan(16 * MEBIBYTE);
    expect(
      await imgbootOk('run', '--rm', `${scheme}demo`, 'sh', '-c', 'ls /opt/deep /opt; cat /etc/number'),
    ).toBe('/opt:\ndeep\nlarge\n\n/opt/deep:\n1\n');
    const images = await host.store.images();
    expect(images).toMatchObject([
      { repository: `${scheme}${prefix}demo`, tag: 'latest', id: await engineId(), layers: 4 },
    ]);
    expect(await sharesFiles()).toBe(true);
    expect(await host.store.fsck()).toEqual([]);
  });

  /** Whether the lowest layer's large file, or the subvolume that it is in, comes from the engine's own. */
  async function sharesFiles(): Promise<boolean> {
    const layers = host.store.layers().map((name) => path.join(host.store.path, 'layers', name));
    const lowest = layers.find((layer) => existsSync(path.join(layer, 'opt/large')))!;
    if (kind.driver === 'overlay') return statSync(path.join(lowest, 'opt/large')).nlink === 2;
    const { stdout } = await execa('btrfs', ['subvolume', 'show', lowest]);
    const parent = /Parent UUID:\s+(\S+)/.exec(stdout)![1];
    const subvolumes = path.join(data, 'btrfs/subvolumes');
    return readdirSync(subvolumes).some((name) => subvolumeUuid(path.join(subvolumes, name)) === parent);
  }

  it('is handed on with its layers as they are', async () => {
    await imgbootOk('run', '--rm', `${scheme}demo`);
    const archive = path.join(work.path, 'out.tar');
    await imgbootOk('save', '--format', 'oci-archive', '-o', archive, `${scheme}demo`);
    const { stdout } = await execa('skopeo', ['inspect', '--config', `oci-archive:${archive}`]);
    const told = await started.run(
      'inspect',
      '--type',
      'image',
      '--format',
      '{{json .RootFS.Layers}}',
      'demo',
    );
    expect((JSON.parse(stdout) as { rootfs: { diff_ids: string[] } }).rootfs.diff_ids).toEqual(
      JSON.parse(told),
    );
    // Every blob is there now, and is what its digest says.
    expect(await host.store.fsck()).toEqual([]);
    expect((await host.store.images())[0]).toMatchObject({ id: await engineId() });
    expect(await imgbootOk('run', '--rm', `${scheme}demo`)).toBe('1\n');
  });

  it('is what an image is built on', async () => {
    const context = path.join(work.path, 'on-it');
    mkdirSync(context);
    await imgbootOk('run', '--rm', `${scheme}demo`);
    await imgbootOk('tag', `${scheme}demo`, 'mine');
    writeFileSync(path.join(context, 'Dockerfile'), 'FROM mine\nRUN echo more >> /etc/number\n');
    await imgbootOk('build', '-t', 'onit', context);
    expect(await imgbootOk('run', '--rm', 'onit')).toBe('1\nmore\n');
    expect(await host.store.fsck()).toEqual([]);
    await imgbootOk('rmi', 'onit', 'mine');
  });

  it('is deployed, upgraded when the engine has a newer one, and gone back from', async () => {
    const words = ['--boot-dir', host.boot];
    expect(await imgbootOk('deploy', `${scheme}demo`, ...words)).toContain('demo/1 is booted by default');
    expect(await imgbootOk('upgrade')).toBe(`demo/1 has the newest ${scheme}${prefix}demo:latest.\n`);
    await build(2);
    expect(await imgbootOk('upgrade', '--check')).toContain('There is a newer');
    host.bless('demo/1');
    expect(await imgbootOk('upgrade')).toContain('demo/2 is booted by default');
    expect(host.bootedNext()).toBe('demo/2');
    // The engine's image may go: what is deployed stays.
    await started.run('rmi', '--force', 'demo');
    expect(await host.store.fsck()).toEqual([]);
    expect(await imgbootOk('rollback')).toContain('demo/1 is booted by default');
    expect(await host.store.fsck()).toEqual([]);
    await imgbootOk('undeploy', 'demo');
    await build(2);
  });

  it('gives its initramfs', async () => {
    const output = path.join(work.path, 'initrd.img');
    await imgbootOk('mkinitramfs', `${scheme}demo`, '--modules', 'virtio', '-o', output);
    expect(await imgbootOk('lsinitramfs', output)).toContain('lib/modules/1.0/');
  });

  it.for([
    ['run', ['run', '--rm', `${scheme}nothing`], `has no image nothing`],
    ['deploy', ['deploy', `${scheme}demo:2`], `has no image demo:2`],
    ['an upper-case name', ['run', '--rm', `${scheme}Demo`], 'not an image reference: "Demo"'],
    ['a tag of that kind', ['tag', `${scheme}demo`, `${scheme}demo`], 'not an image reference'],
  ] as const)(
    'that is asked for wrongly by %s is an error, and the store is as it was',
    async ([, args, words]) => {
      await imgbootOk('run', '--rm', `${scheme}demo`);
      const before = await host.store.state();
      const { stderr, exitCode } = await imgboot(...args);
      expect(stderr).toContain(words);
      expect(exitCode).toBeGreaterThan(0);
      expect(await host.store.state()).toEqual(before);
    },
  );
});

describe.each([
  { driver: 'vfs', elsewhere: 'of a kind that only its engine can read', hasId: false },
  { driver: 'overlay2', elsewhere: 'on another file system', hasId: true },
] as const)("an image in Docker's store, $elsewhere", ({ driver, hasId }) => {
  it('is copied, and followed', async () => {
    await using work = await TemporaryDirectory.create();
    await using data = await loopFilesystem({ type: 'ext4', sizeBytes: 512 * MEBIBYTE });
    await using kept = await storeFilesystem({ driver: 'btrfs', filesystem: 'btrfs' });
    const store = kept.store();
    const place = path.join(data.mountPoint, 'docker');
    await using docker = await startEngine(work.path, { engine: 'docker', driver, place });
    const env = { DOCKER_HOST: `unix://${path.join(work.path, 'docker.sock')}` };
    const layer = path.join(work.path, 'layer.tar');
    for (const number of [1, 2]) {
      const busybox = { path: 'bin/busybox', content: await busyboxBytes(), mode: 0o755 };
      writeFileSync(layer, bootableLayer(number, busybox));
      await docker.run('import', '--change', 'CMD ["/bin/busybox", "cat", "/etc/number"]', layer, 'demo');
      expect(await store.cliOk('run', ['--rm', 'docker://demo'], { env })).toBe(String(number));
    }
    const [image] = (await store.images()).filter(({ repository }) => repository === 'docker://demo');
    const id = (await docker.run('inspect', '--format', '{{.Id}}', 'demo')).trim();
    // skopeo writes another config.
    expect(image!.id === id).toBe(hasId);
    expect(await store.fsck()).toEqual([]);
  });
});

describe("what there is no image in another engine's store for", () => {
  let work: TemporaryDirectory;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  async function refusal(name: string): Promise<string> {
    const store = path.join(work.path, 'store');
    const root = path.join(work.path, 'root');
    const env = {
      IMGBOOT_DOCKER_ROOT: root,
      IMGBOOT_PODMAN_ROOT: root,
      DOCKER_HOST: `unix://${root}/none.sock`,
    };
    const { stderr, exitCode } = await runCli(
      ['mkinitramfs', '--store', store, name, '-o', path.join(work.path, 'x')],
      { env },
    );
    expect(exitCode).toBe(1);
    return stderr;
  }
  const write = (file: string, text: string): void => {
    mkdirSync(path.join(work.path, 'root', path.dirname(file)), { recursive: true });
    writeFileSync(path.join(work.path, 'root', file), text);
  };
  const id = 'a'.repeat(64);
  const named = JSON.stringify({ Repositories: { demo: { 'demo:latest': `sha256:${id}` } } });

  it.for<[string, string, () => void, RegExp]>([
    ['no store', 'docker://demo', () => {}, /there is no store of Docker's at .*root/],
    ['no store', 'containers-storage:demo', () => {}, /there is no store of Podman's .* at .*root/],
    ['no JSON', 'docker://demo', () => write('image/overlay2/repositories.json', '{'), /is no JSON/],
    [
      'an ID that leads elsewhere',
      'docker://demo',
      () => write('image/overlay2/repositories.json', named.replace(id, '../../etc/passwd')),
      /not a sha256 digest: "sha256:\.\.\/\.\./,
    ],
    [
      'a config that is another',
      'docker://demo',
      () => {
        write('image/overlay2/repositories.json', named);
        write(`image/overlay2/imagedb/content/sha256/${id}`, '{}');
      },
      /the config of sha256:a+ is not what its name says/,
    ],
    [
      'two drivers',
      'docker://demo',
      () => ['overlay2', 'btrfs'].forEach((name) => write(`image/${name}/repositories.json`, named)),
      /cannot copy docker-daemon:demo:latest/,
    ],
    [
      'a layer that is not there',
      'containers-storage:demo',
      () => {
        const config = '{"rootfs":{"type":"layers","diff_ids":["sha256:' + id + '"]}}';
        const hex = createHash('sha256').update(config).digest('hex');
        write(
          'overlay-images/images.json',
          JSON.stringify([{ id: hex, names: ['localhost/demo:latest'], layer: id }]),
        );
        write(`overlay-images/${hex}/=${Buffer.from(`sha256:${hex}`).toString('base64')}`, config);
        write('overlay-layers/layers.json', '[]');
      },
      /the layer a+ is missing in .*half pulled/,
    ],
  ])('%s is one line that says so', async ([, name, prepare, words]) => {
    prepare();
    expect(await refusal(name)).toMatch(words);
  });
});

async function busyboxBytes(): Promise<Buffer> {
  const { stdout } = await execa('cat', ['/bin/busybox'], { encoding: 'buffer' });
  return Buffer.from(stdout);
}
