import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { expectClean } from '../support/disk-check.ts';
import { startEngine } from '../support/engine.ts';
import { engineImages, exportedPaths, writeEngineContexts } from '../support/engine-images.ts';
import { loopFilesystem, type LoopFilesystem } from '../support/loop-filesystem.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { hooksUnderTest } from '../support/tiny-machine.ts';

const GIBIBYTE = 2 ** 30;

/** What an engine's images are called on the kernel command line, where its store is on the disk, and where it is shown. */
const engines = {
  docker: { scheme: 'docker://', data: 'docker', shown: '/var/lib/docker/image', limits: [] },
  podman: {
    scheme: 'containers-storage:',
    data: 'containers/storage',
    shown: '/var/lib/containers/storage',
    // It raises them else, which not every root may.
    limits: ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'],
  },
};

describe.each([
  { engine: 'docker', driver: 'overlay2', filesystem: 'ext4', rootDriver: 'overlay' },
  { engine: 'docker', driver: 'btrfs', filesystem: 'btrfs', rootDriver: 'btrfs' },
  { engine: 'podman', driver: 'overlay', filesystem: 'ext4', rootDriver: 'overlay' },
  { engine: 'podman', driver: 'btrfs', filesystem: 'btrfs', rootDriver: 'btrfs' },
] as const)('the own store of $engine, with $driver', ({ engine, driver, filesystem, rootDriver }) => {
  const { scheme, data } = engines[engine];
  let work: TemporaryDirectory;
  let disk: LoopFilesystem;
  const expected = new Map<string, string[]>();

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    await writeEngineContexts(work.path);
    disk = await loopFilesystem({ type: filesystem, sizeBytes: GIBIBYTE, label: 'engine' });
    await disk.unmount();
    await withEngine(async (run) => {
      await run('import', path.join(work.path, 'base.tar'), 'base:1');
      await run('tag', 'base:1', 'one');
      for (const name of ['three', 'sixty'])
        await run('build', '--quiet', '--network', 'none', '--tag', name, path.join(work.path, name));
      for (const [name, layers] of Object.entries(engineImages)) {
        const told = await run('inspect', '--format', '{{len .RootFS.Layers}}', name);
        if (Number(told) !== layers) throw new Error(`${name} has ${told} layers`);
        expected.set(name, await exported(run, name));
      }
    });
  }, 300_000);
  afterAll(async () => {
    await disk[Symbol.asyncDispose]();
    await work[Symbol.asyncDispose]();
  });

  /** Has a daemon on the disk, which is mounted for that long. */
  async function withEngine(
    use: (run: (...words: string[]) => Promise<string>) => Promise<void>,
  ): Promise<void> {
    await disk.mount();
    try {
      const place = path.join(disk.mountPoint, data);
      await mkdir(place, { recursive: true });
      await using started = await startEngine(work.path, { engine, driver, place });
      await use(started.run);
    } finally {
      await disk.unmount();
    }
  }

  async function exported(run: (...words: string[]) => Promise<string>, image: string): Promise<string[]> {
    const tar = path.join(work.path, `${image}.exported`);
    await run('create', '--name', 'exported', image, '/sbin/init');
    await run('export', '--output', tar, 'exported');
    await run('rm', 'exported');
    return await exportedPaths(tar, work.path);
  }

  /** Runs a script in the top directory of the disk. */
  async function onDisk(script: string): Promise<string> {
    await disk.mount();
    try {
      return (await execa('sh', ['-ec', script], { cwd: disk.mountPoint })).stdout;
    } finally {
      await disk.unmount();
    }
  }

  async function boot(
    context: TestContext,
    words: string,
  ): Promise<{ facts: string[]; paths: string[]; report: BootReport }> {
    await using machine = await bootMachine(context, {
      ...(await hooksUnderTest()),
      name: words.replaceAll(/[^a-z0-9]+/g, '-'),
      memoryBytes: 512 * 2 ** 20,
      append: `console=ttyS0 quiet root=LABEL=engine ${words}`,
      drives: [{ path: disk.diskPath, format: 'raw', access: 'write' }],
    });
    const text = await machine.expect(/FACT mark[^]*REPORT[^]*\nEND/, {
      timeoutMs: 120_000,
      unless: /imgboot: .* To mend it: .*|Kernel panic.*/,
    });
    await machine.waitForExit({ timeoutMs: 60_000 });
    await expectClean({ path: disk.diskPath, filesystem });
    const lines = text.replaceAll('\r', '').split('\n');
    const json = /REPORT\n([^]*)END/.exec(text.replaceAll('\r', ''))![1]!;
    return {
      facts: lines.filter((line) => line.startsWith('FACT ')),
      paths: lines.filter((line) => line.startsWith('PATH ')),
      report: JSON.parse(json) as BootReport,
    };
  }

  it.for(Object.keys(engineImages))(
    'has the image %s, which boots as it is exported',
    async (name, context) => {
      const { paths, facts, report } = await boot(context, `imgboot.image=${scheme}${name}`);
      expect(paths).toEqual(expected.get(name));
      expect(facts).toEqual([
        'FACT mark none',
        'FACT top none',
        expect.stringMatching(new RegExp(`^FACT data ${engines[engine].shown}`)),
        'FACT shown rw',
      ]);
      expect(report).toMatchObject({
        reference: `${scheme}${name}`,
        driver: rootDriver,
        fallbacks: [],
        writable: { got: 'ephemeral' },
      });
    },
  );

  it("has an image whose boot in RAM leaves the disk's bytes as they were", async (context) => {
    const digest = async (): Promise<string> => (await execa('sha256sum', [disk.diskPath])).stdout;
    const before = await digest();
    const { paths, facts, report } = await boot(context, `imgboot.image=${scheme}three imgboot.writable=ram`);
    expect(paths).toEqual(expected.get('three'));
    expect(facts).toContain('FACT shown ro');
    expect(report).toMatchObject({ writable: { got: 'ram', layer: null }, fallbacks: [] });
    expect(await digest()).toBe(before);
  });

  it('has a new version of an image, which is what boots next', { timeout: 300_000 }, async (context) => {
    await withEngine(async (run) => {
      await run('tag', 'sixty', 'three');
      expected.set('new', expected.get('sixty')!);
      // The store is as it was left.
      expect(await exported(run, 'three')).toEqual(expected.get('new'));
      const container = ['--rm', '--network', 'none', ...engines[engine].limits, 'one'];
      expect(await run('run', ...container, '/bin/busybox', 'echo', 'runs')).toBe('runs\n');
    });
    expect((await boot(context, `imgboot.image=${scheme}three:latest`)).paths).toEqual(expected.get('new'));
  });

  it.for(engine === 'docker' ? ['docker_rwlayer'] : [])(
    'boots by the command line of mkinitcpio-docker-hooks, into %s',
    async (name, context) => {
      await onDisk('mkdir -p boot_docker/etc; echo mine > boot_docker/etc/top');
      const original = `rootflags=subvol=${name} rw docker_path=docker toplayer=LABEL=engine toplayer_path=boot_docker`;
      const first = await boot(context, original);
      expect(first.facts).toContain('FACT top mine');
      expect(first.report).toMatchObject({
        reference: 'docker://one:latest',
        driver: rootDriver,
        fallbacks: [],
      });
      const layer = rootDriver === 'btrfs' ? `/${name}` : 'deployments/docker%3A%2F%2Fone%3Alatest/ephemeral';
      expect(first.report.writable!.layer).toBe(layer);
      // What was written is kept aside, and what boots is fresh.
      expect((await boot(context, original)).facts[0]).toBe('FACT mark none');
      expect(
        await onDisk(
          'cat imgboot/deployments/*/ephemeral.1/mark imgboot/deployments/*/ephemeral.1/upper/mark || :',
        ),
      ).toBe('marked');
    },
  );

  it.for(driver === 'btrfs' && engine === 'docker' ? ['old_rwlayer'] : [])(
    "takes over %s, as that left it, and nobody's root",
    async (old, context) => {
      const words = (name: string): string =>
        `rootflags=subvol=${name} docker_path=docker imgboot.image=docker://one`;
      // As mkinitcpio-docker-hooks left it.
      await onDisk(
        `set -- docker/btrfs/subvolumes/*; btrfs subvolume snapshot "$1" ${old}; echo precious > ${old}/file`,
      );
      expect((await boot(context, words(old))).report.writable!.layer).toBe(`/${old}`);
      expect(await onDisk('cat imgboot/deployments/*/ephemeral.*/file')).toBe('precious');
      await onDisk('btrfs subvolume create @; echo precious > @/file');
      await expect(boot(context, words('@'))).rejects.toThrow(
        'renaming /@: imgboot did not make this subvolume',
      );
      expect(await onDisk('cat @/file; ls')).toMatch(/^precious\n@\n/);
    },
  );
});
