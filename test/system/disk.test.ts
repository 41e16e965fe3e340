import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { packLayer, runVariable, type BootImage } from '../support/boot-fixtures.ts';
import { expectClean, onDisk } from '../support/disk-check.ts';
import { diskOf, loaderImage } from '../support/disk-fixtures.ts';
import { repository } from '../support/paths.ts';
import { runCli } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

interface Table {
  partitiontable: {
    partitions: { start: number; size: number; type: string; name: string; attrs?: string }[];
  };
}
interface Entry {
  name: string;
  offsetBytes: number;
  sizeBytes: number;
}

let run: TemporaryDirectory;
let image: BootImage;
let directory: TemporaryDirectory;
beforeAll(async () => {
  run = await TemporaryDirectory.create();
  process.env[runVariable] = run.path;
  image = await loaderImage();
});
afterAll(async () => {
  delete process.env[runVariable];
  await run[Symbol.asyncDispose]();
});
beforeEach(async () => {
  directory = await TemporaryDirectory.create();
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const inDirectory = (name: string): string => path.join(directory.path, name);

/** The partitions, in a table that sfdisk finds no fault with. */
async function partitions(disk: string): Promise<Entry[]> {
  const { stdout: verdict } = await execa('sfdisk', ['--verify', disk]);
  expect(verdict).toContain('No errors detected.');
  const { stdout } = await execa('sfdisk', ['--json', disk]);
  return (JSON.parse(stdout) as Table).partitiontable.partitions.map(({ name, start, size }) => ({
    name,
    offsetBytes: start * 512,
    sizeBytes: size * 512,
  }));
}

/** A copy of one partition. */
async function partition(disk: string, name: string): Promise<string> {
  const { offsetBytes, sizeBytes } = (await partitions(disk)).find((one) => one.name === name)!;
  const copy = inDirectory(`${name.replace(' ', '-')}.part`);
  const [skip, count] = [offsetBytes / 2 ** 20, sizeBytes / 2 ** 20];
  await execa('dd', [`if=${disk}`, `of=${copy}`, 'bs=1M', `skip=${skip}`, `count=${count}`, 'conv=sparse']);
  return copy;
}

/** What there is on the ESP, whose file system is clean. */
async function espFiles(disk: string): Promise<string[]> {
  const esp = await partition(disk, 'EFI system');
  await execa('fsck.vfat', ['-n', esp]);
  const { stdout } = await execa('mdir', ['-/', '-a', '-b', '-i', esp, '::/'], {
    env: { MTOOLS_SKIP_CHECK: '1' },
  });
  return stdout
    .split('\n')
    .map((line) => line.replace('::/', ''))
    .filter((line) => line !== '' && !line.endsWith('/'))
    .sort();
}

/** How much room for names a directory of the ESP has: the bytes of its clusters. */
async function roomOn(esp: string, directory: string): Promise<number> {
  const env = { MTOOLS_SKIP_CHECK: '1' };
  const { stdout: facts } = await execa('minfo', ['-i', esp, '::'], { env });
  const sectors = Number(/cluster size: (\d+) sectors/.exec(facts)![1]);
  const { stdout: shown } = await execa('mshowfat', ['-i', esp, `::${directory}`], { env });
  const runs = [...shown.matchAll(/<(\d+)(?:-(\d+))?>/g)];
  const clusters = runs.reduce((sum, [, from, to = from]) => sum + Number(to) - Number(from) + 1, 0);
  return clusters * sectors * 512;
}

async function loopsOf(where: string): Promise<string[]> {
  const { stdout } = await execa('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE']);
  return stdout.split('\n').filter((line) => line.startsWith(where));
}

describe('a disk', () => {
  it.each([
    {
      loader: 'systemd-boot',
      filesystem: 'btrfs',
      names: ['EFI system', 'imgboot'],
      files: [
        'EFI/systemd/systemd-bootx64.efi',
        'loader/entries/imgboot-loaders-1+3.conf',
        'loader/loader.conf',
      ],
    },
    {
      loader: 'grub',
      filesystem: 'ext4',
      names: ['BIOS boot', 'EFI system', 'imgboot'],
      files: ['grub/grub.cfg', 'grub/imgboot.cfg', 'grub/imgboot.env'],
    },
    {
      loader: 'extlinux',
      filesystem: 'btrfs',
      names: ['EFI system', 'imgboot'],
      files: ['extlinux/extlinux.conf', 'extlinux/imgboot.conf', 'extlinux/ldlinux.sys'],
    },
  ] as const)('by $loader has its partitions, and file systems without fault', async (made) => {
    const disk = inDirectory('disk');
    await diskOf(image, disk, { loader: made.loader, filesystem: made.filesystem });
    expect((await partitions(disk)).map(({ name }) => name)).toEqual(made.names);
    expect(await espFiles(disk)).toEqual(
      expect.arrayContaining([...made.files, 'imgboot/loaders-1/initrd.img', 'imgboot/loaders-1/vmlinuz']),
    );
    // What grows is not whole while it does: nothing there has to, ever.
    const esp = await partition(disk, 'EFI system');
    for (const place of ['/imgboot', path.posix.join('/', path.posix.dirname(made.files.at(-1)!))])
      expect(await roomOn(esp, place)).toBeGreaterThanOrEqual(8192);
    const root = { path: await partition(disk, 'imgboot'), filesystem: made.filesystem };
    await expectClean(root);
    expect(JSON.parse(await onDisk(root, 'cat imgboot/deployments.json'))).toMatchObject({
      machine: { loader: made.loader, store: '/imgboot', owner: 'imgboot', boot: { fstype: 'vfat' } },
      default: 'loaders/1',
    });
    expect(
      readFileSync(disk)
        .subarray(0, 440)
        .some((byte) => byte !== 0),
    ).toBe(made.loader !== 'systemd-boot');
    expect(await readdir(directory.path)).not.toContainEqual(expect.stringContaining('imgboot-aside'));
    expect(await loopsOf(directory.path)).toEqual([]);
  });

  it('that is encrypted is LUKS2, opened by its passphrase only, and takes no more room than another', async () => {
    const disk = inDirectory('disk');
    await diskOf(image, disk, { luks: { passphrase: 'open sesame', iterMs: 10 } });
    const root = await partition(disk, 'imgboot');
    await execa('cryptsetup', ['isLuks', '--type', 'luks2', root]);
    const open = (input: string): Promise<{ exitCode?: number | undefined }> =>
      execa('cryptsetup', ['open', '--test-passphrase', '--key-file', '-', root], { input, reject: false });
    expect((await open('open sesame')).exitCode).toBe(0);
    expect((await open('mellon')).exitCode).toBe(2);
    const { stdout: blocks } = await execa('stat', ['-c', '%b', disk]);
    expect(Number(blocks) * 512).toBeLessThan(700 * 2 ** 20);
    expect(await readdir(directory.path)).not.toContainEqual(expect.stringContaining('imgboot-aside'));
  });

  it.each([
    { says: 'the size that fits nothing', args: ['--size', '300M'], code: 1, words: 'are too small' },
    { says: 'an unknown loader', args: ['--bootloader', 'lilo'], code: 2, words: '--bootloader=lilo' },
    {
      says: 'a loader with a firmware that it does not know',
      args: ['--bootloader', 'extlinux', '--firmware', 'uefi'],
      code: 2,
      words: 'extlinux does not work with UEFI firmware',
    },
    { says: 'a name with a slash', args: ['--name', 'a/b'], code: 2, words: 'not a name for a deployment' },
    {
      says: 'a passphrase that nobody can give',
      args: ['--luks'],
      code: 2,
      words: 'no terminal to ask for a passphrase',
    },
    { says: 'words that no kernel reads', args: ['--append', 'a"b'], code: 2, words: 'kernel command line' },
  ])('is not made for $says', async ({ args, code, words }) => {
    const result = await runCli([
      'disk',
      '--store',
      image.store.paths.root,
      image.reference,
      '-o',
      inDirectory('disk'),
      ...args,
    ]);
    expect(result.stderr).toContain(words);
    expect(result.exitCode).toBe(code);
    expect(await readdir(directory.path)).toEqual([]);
    expect(await loopsOf(directory.path)).toEqual([]);
  });

  it("is not made where a loader's files are missing, and it is said what brings them", async () => {
    const hide = 'mount -t tmpfs none /usr/lib/systemd/boot && exec "$@"';
    const imgboot = [path.join(repository, 'bin/imgboot'), 'disk', '--store', image.store.paths.root];
    const result = await execa(
      'unshare',
      ['--mount', 'sh', '-c', hide, 'sh', ...imgboot, image.reference, '-o', inDirectory('disk')],
      { reject: false },
    );
    expect(result.stderr).toMatch(
      /there is no systemd-boot .*neither the image nor this host[^]*systemd-boot-efi/,
    );
    expect(result.exitCode).toBe(1);
    expect(await readdir(directory.path)).toEqual([]);
  });

  it('is not made of an image without a kernel', async () => {
    const empty = await bootlessImage();
    const result = await runCli(['disk', '--store', empty.store, empty.reference, '-o', inDirectory('disk')]);
    expect(result.stderr).toMatch(/kernel/);
    expect(result.exitCode).toBe(1);
    expect(await readdir(directory.path)).toEqual(['layer.tar', 'layout', 'store', 'tree']);
    expect(await loopsOf(directory.path)).toEqual([]);
  });

  it('is not encrypted where the image could not open it', async () => {
    const image = await bootlessImage();
    await writeFile(inDirectory('passphrase'), 'open sesame\n');
    const result = await runCli(
      `disk --store ${image.store} empty -o disk --luks --luks-passphrase-file passphrase`.split(' '),
      { cwd: directory.path },
    );
    expect(result.stderr).toContain('empty has no cryptsetup, which opens an encrypted root at each boot');
    expect(result.exitCode).toBe(1);
    expect(await readdir(directory.path)).not.toContainEqual(expect.stringMatching(/^\.?disk/));
  });

  /** In a store of its own. */
  async function bootlessImage(): Promise<{ store: string; reference: string }> {
    await mkdir(inDirectory('tree/etc'), { recursive: true });
    await writeFile(inDirectory('tree/etc/name'), 'nothing\n');
    await packLayer(inDirectory('tree'), inDirectory('layer.tar'));
    await mkdir(inDirectory('layout'));
    const args = ['import', '--store', inDirectory('store'), inDirectory('layer.tar'), 'empty'];
    expect((await runCli(args)).exitCode).toBe(0);
    return { store: inDirectory('store'), reference: 'empty' };
  }

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'that is stopped by %s is not there, nor anything else',
    async (signal) => {
      const disk = inDirectory('disk');
      const args = [
        'disk',
        '--store',
        image.store.paths.root,
        image.reference,
        '-o',
        disk,
        '--size',
        '1536M',
      ];
      for (const step of ['making a btrfs file system', 'copying', 'packing', 'writing the boot loader']) {
        const child = execa(path.join(repository, 'bin/imgboot'), [...args, '--modules', 'virtio'], {
          reject: false,
        });
        child.stderr.on('data', (text: Buffer) => {
          if (text.toString().includes(step)) child.kill(signal);
        });
        const result = await child;
        expect(result.exitCode ?? result.signal).toBe(signal === 'SIGINT' ? 130 : signal);
        for (let tries = 0; tries < 100 && (await loopsOf(directory.path)).length > 0; tries += 1)
          await sleep(100);
        expect(await loopsOf(directory.path)).toEqual([]);
        const left = await readdir(directory.path);
        expect(left.filter((name) => signal === 'SIGINT' || !name.endsWith('imgboot-aside'))).toEqual([]);
      }
      // Of a killed one that was encrypting: nobody has this number.
      await writeFile(inDirectory('.disk.content.4194303.imgboot-aside'), 'in the clear');
      await diskOf(image, disk);
      expect(await readdir(directory.path)).toEqual(['disk']);
      await partitions(disk);
    },
  );
});

describe('imgboot install', () => {
  let device: string;
  let backing: string;
  beforeEach(async () => {
    backing = inDirectory('backing');
    await writeFile(backing, '');
    await truncate(backing, 1536 * 2 ** 20);
    device = (await execa('losetup', ['--find', '--show', backing])).stdout;
  });
  afterEach(async () => {
    await execa('losetup', ['--detach', device]);
  });

  async function install(...args: string[]): Promise<{ stderr: string; stdout: string; exitCode: number }> {
    return await runCli(['install', '--store', image.store.paths.root, image.reference, ...args]);
  }

  it('makes a device a disk, and shows before what is on it', async () => {
    await execa('mkfs.ext4', ['-q', '-L', 'precious', device]);
    const refused = await install(device, '--yes');
    expect(refused.stderr).toMatch(/^\/dev\/loop\d+ +1\.6 GB +ext4 +precious$/m);
    expect(refused.stderr).toContain('is not empty; nothing was done');
    expect(refused.exitCode).toBe(1);
    const planned = await install(device, '--dry-run');
    expect(planned.stdout).toMatch(/^EFI system +201 MB$/m);
    expect(planned.exitCode).toBe(0);
    await expectClean({ path: backing, filesystem: 'ext4' });

    const done = await install(device, '--wipe', '--bootloader', 'grub', '--modules', 'virtio');
    expect(done.stderr).not.toContain('imgboot:');
    expect(done.stdout).toBe(`${device} boots loaders/1 by grub\n`);
    expect((await partitions(backing)).map(({ name }) => name)).toEqual([
      'BIOS boot',
      'EFI system',
      'imgboot',
    ]);
    expect(await espFiles(backing)).toContain('EFI/BOOT/BOOTX64.EFI');
    await expectClean({ path: await partition(backing, 'imgboot'), filesystem: 'btrfs' });
    // Two loop devices would be one too many.
    expect(await loopsOf(directory.path)).toEqual([backing]);
  });

  it('leaves alone a swap, a partition, and what another mount namespace has mounted', async () => {
    await execa('mkswap', ['--quiet', device]);
    await execa('swapon', [device]);
    try {
      const swap = await install(device, '--wipe');
      expect(swap.stderr).toContain(`${device} is in use: ${device} is used as swap`);
      expect(swap.stderr).toContain(`swapoff ${device}`);
    } finally {
      await execa('swapoff', [device]);
    }
    await execa('mkfs.ext4', ['-q', '-F', device]);
    await execa('addpart', [device, '1', '2048', '20480']);
    try {
      const part = await install(`${device}p1`, '--wipe');
      expect(part.stderr).toContain('it is a partition');
    } finally {
      await execa('delpart', [device, '1']);
    }
    const holder = execa('flock', [device, 'sh', '-c', 'echo locked; read -r end']);
    await once(holder.stdout, 'data');
    const held = await install(device, '--wipe', '--yes');
    holder.stdin.end('end\n');
    await holder;
    expect(held.stderr).toContain(`${device} is in use: another program has locked it`);
    const elsewhere = 'mount "$1" /mnt; echo mounted; read -r end';
    const mounter = execa('unshare', ['--mount', 'sh', '-euc', elsewhere, 'sh', device]);
    await once(mounter.stdout, 'data');
    const busy = await install(device, '--wipe');
    mounter.stdin.end('end\n');
    await mounter;
    expect(busy.stderr).toContain(`${device} is in use: the kernel says that it is busy`);
    await expectClean({ path: backing, filesystem: 'ext4' });
  });

  it.each([
    ['n\r', 1],
    ['\r', 1],
    // The end of the input.
    ['\u0004', 130],
    // Ctrl-C.
    ['\u0003', 130],
  ])('does nothing where the answer at a terminal is %j', async (answer, status) => {
    await execa('mkfs.ext4', ['-q', device]);
    const command = `${repository}/bin/imgboot install --store ${image.store.paths.root} ${image.reference} ${device}`;
    const terminal = execa('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      reject: false,
      timeout: 60_000,
    });
    let shown = '';
    terminal.stdout.on('data', (bytes: Buffer) => {
      const isAsked = (): boolean => shown.includes('[y/N]');
      const wasAsked = isAsked();
      shown += String(bytes);
      if (isAsked() && !wasAsked) terminal.stdin.write(answer);
    });
    expect({ status: (await terminal).exitCode, shown }).toMatchObject({ status });
    await expectClean({ path: backing, filesystem: 'ext4' });
  });

  it('leaves alone what is mounted, what is too small, and what is no disk', async () => {
    await execa('mkfs.ext4', ['-q', device]);
    await mkdir(inDirectory('mnt'));
    await execa('mount', [device, inDirectory('mnt')]);
    try {
      const mounted = await install(device, '--wipe');
      expect(mounted.stderr).toContain(`${device} is in use: ${device} is mounted at ${inDirectory('mnt')}`);
      expect(mounted.exitCode).toBe(1);
    } finally {
      await execa('umount', [inDirectory('mnt')]);
    }
    const file = await install(backing, '--wipe');
    expect(file.stderr).toContain('it is no block device');
    const missing = await install(inDirectory('nothing'), '--wipe');
    expect(missing.stderr).toContain('there is no such file');
    await truncate(backing, 256 * 2 ** 20);
    await execa('losetup', ['--set-capacity', device]);
    const small = await install(device, '--wipe');
    expect(small.stderr).toContain('are too small');
    expect([file, missing, small].map(({ exitCode }) => exitCode)).toEqual([1, 1, 1]);
  });
});
