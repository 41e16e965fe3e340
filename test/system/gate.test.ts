import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import type { Prepared, PrepareJob } from '../../src/gate/prepare.job.ts';
import { makePartitioned } from '../../src/gate/partition-table.ts';
import { createSubvolume } from '../../src/system/btrfs.ts';
import { FilesInRoot } from '../../src/system/files-in-root.ts';
import { runIsolated } from '../../src/system/isolate.ts';
import { until } from '../support/container-host.ts';
import { DeployHost } from '../support/deploy-host.ts';
import { repository } from '../support/paths.ts';
import { runCliOk } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { drivers, leftovers } from '../support/test-store.ts';

/** A bzImage whose first instruction jumps to itself. @see linux/Documentation/arch/x86/boot.rst */
const hangingKernel = Buffer.alloc(1 << 20);
hangingKernel.set([1], 0x1f1);
hangingKernel.set([0xeb, 0xfe, ...Buffer.from('HdrS'), 0x02, 0x02], 0x200);
hangingKernel.set([1], 0x211);

/** What the initramfs would need of a kernel for its root is a part of that kernel. */
const builtin = ['virtio_pci', 'virtio_blk'].map((name) => `kernel/${name}.ko\n`).join('');

it.each(drivers)(
  'a gate that refuses, is stopped or is killed changes nothing, with the $driver driver',
  async (driver) => {
    await using host = await DeployHost.create(driver);
    await host.load(
      'desktop:latest',
      1,
      { path: 'boot/vmlinuz-1.0', content: hangingKernel },
      { path: 'lib/modules/1.0/modules.builtin', content: builtin },
    );
    const top = host.filesystem.directory('top');
    mkdirSync(path.join(top, 'etc'));
    await host.deploy('desktop', '--top-layer', top);
    const before = await host.state();
    const gated = ['desktop', '--gate', '--gate-timeout', '1'];

    await host.load(
      'desktop:latest',
      2,
      { path: 'boot/vmlinuz-1.0', content: hangingKernel },
      { path: 'lib/modules/1.0/modules.builtin', content: builtin },
    );
    const late = await host.store.cli('upgrade', gated);
    expect(late.exitCode).toBe(1);
    expect(late.stderr).toMatch(
      /imgboot: desktop\/2 does not become the default: the machine did not answer within 1 s\nthe console's last lines:/,
    );
    expect(await host.state()).toEqual(before);
    expect(await host.store.cliOk('upgrade', ['--check'])).toContain('There is a newer desktop:latest');

    await using disk = await loop('mkfs.minix');
    writeFileSync(path.join(top, 'etc/fstab'), `${disk.path} /a minix\n`);
    const args = [...gated, '--boot-dir', host.boot, '--top-layer', top, '--persist', '/srv', '--json'];
    const impossible = await host.store.cli('deploy', args);
    expect([impossible.exitCode, JSON.parse(impossible.stdout)]).toMatchObject([
      1,
      {
        error: {
          code: 'IMGBOOT_GATE_CANNOT_IMITATE',
          message: 'the gate has no disk for /etc/fstab: /a: the gate cannot make a minix',
        },
      },
    ]);
    expect(await host.state()).toEqual(before);
    writeFileSync(path.join(top, 'etc/fstab'), '');

    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGKILL', undefined],
    ] as const) {
      const words = ['switch', '--store', host.store.path, 'desktop', '--gate'];
      const command = execa(path.join(repository, 'bin/imgboot'), words, { reject: false });
      await until(async () => (await left(host)).some((line) => line.includes('qemu-system')));
      command.kill(signal);
      expect((await command).exitCode).toBe(status);
      await until(async () => (await left(host)).length === 0);
    }
    // What was killed, the next command tidies up after.
    await runCliOk(['deployment', 'unpin', '--store', host.store.path, 'desktop/1']);
    expect(await host.state()).toEqual(before);
    expect(host.strays()).toEqual([]);
    expect(await host.store.fsck()).toEqual([]);
  },
);

async function left(host: DeployHost): Promise<string[]> {
  return await leftovers(host.filesystem.mountPoint);
}

it('a gate has disks that answer to what those of this machine answer to', async () => {
  await using host = await DeployHost.create(drivers[0]);
  await host.load('desktop:latest', 1);
  const top = host.filesystem.directory('top');
  mkdirSync(path.join(top, 'etc'));
  await using ext4 = await loop('mkfs.ext4', '-q', '-L', 'a b', '-U', 'aaaaaaaa-1111-4222-8333-444444444444');
  await using xfs = await loop('mkfs.xfs', '-q', '-L', 'x');
  await using vfat = await loop('mkfs.vfat', '-i', 'ABCD1234', '-n', 'BOOT');
  await using swap = await loop('mkswap', '--quiet', '-L', 's');
  await using btrfs = await loop('mkfs.btrfs', '-q', '-L', 'b');
  const words =
    'luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /etc/hostname';
  await using luks = await loop('cryptsetup', ...words.split(' '));
  const shared = path.join(host.filesystem.mountPoint, 'shared');
  createSubvolume(shared);
  const uuidOf = async (device: string): Promise<string> =>
    (await execa('blkid', ['-p', '-o', 'value', '-s', 'UUID', device])).stdout;
  const rootUuid = await uuidOf((await execa('findmnt', ['-no', 'SOURCE', '-T', host.store.path])).stdout);
  writeFileSync(
    path.join(top, 'etc/fstab'),
    `LABEL=a\\040b /a ext4\n/data/in /in none bind\n/dev/disk/by-label/x /data xfs\nUUID=ABCD-1234 /v vfat
UUID=${await uuidOf(swap.path)} none swap\nLABEL=b /h btrfs subvol=deep/@home,subvolid=300\n${ext4.path} /b ext4
UUID=00000000-0000-4000-8000-000000000000 /no ext4
UUID=${rootUuid} /s btrfs subvol=shared\nUUID=${rootUuid} /t btrfs subvol=absent\n`,
  );
  writeFileSync(path.join(top, 'etc/key'), 'secret');
  writeFileSync(path.join(top, 'etc/crypttab'), `c UUID=${await uuidOf(luks.path)} /etc/key\n`);
  const { store } = host.store;
  await using workspace = await store.workspace();
  mkdirSync(path.join(workspace.path, 'view'));
  const chain = store.image('desktop').layers.map(({ name }) => name);
  const job: PrepareJob = {
    machine: {
      root: [`root=UUID=${rootUuid}`, 'rootfstype=btrfs', 'rootflags=subvolid=5'],
      store: '/deep/store',
      storePath: '/deep/store',
      loader: 'systemd-boot',
      boot: null,
      directory: '/loader',
      owner: 'system',
    },
    view: {
      driver: 'btrfs',
      layers: store.paths.layers,
      chain,
      mountPoint: path.join(workspace.path, 'view'),
    },
    store: {
      path: '/deep/store',
      driver: 'btrfs',
      layers: store.paths.layers,
      chain,
      name: 'desktop',
      number: 1,
      bootFile: 'deployment=desktop/1\n',
    },
    persist: [{ path: '/lib', source: undefined }],
    topLayer: {
      kind: 'device',
      device: `UUID=${rootUuid}`,
      path: `/${path.basename(top)}`,
      fstype: 'btrfs',
      flags: 'subvolid=5',
    },
    scratch: workspace.path,
  };
  const module = new URL('../../src/gate/prepare.job.ts', import.meta.url);
  const { drives, setup, missing } = await runIsolated<PrepareJob, Prepared>(module, job);

  const [root, ...others] = drives;
  const tags = ['TYPE', 'UUID', 'LABEL'];
  const told = async (disk: string): Promise<string[]> =>
    Promise.all(
      tags.map(async (tag) => (await execa('blkid', ['-p', '-o', 'value', '-s', tag, disk])).stdout),
    );
  expect((await told(root!)).slice(0, 2)).toEqual(['btrfs', rootUuid]);
  const machines = [luks, ext4, xfs, vfat, swap, btrfs].map(({ path }) => path);
  expect(await Promise.all(others.map(told))).toEqual(await Promise.all(machines.map(told)));
  expect(missing.map(({ target }) => target)).toEqual(['/no']);
  expect(setup).toEqual([
    {
      path: '/run/udev/rules.d/99-imgboot-gate.rules',
      content: `SUBSYSTEM=="block", ENV{ID_FS_UUID}=="aaaaaaaa-1111-4222-8333-444444444444", SYMLINK+="${ext4.path.slice('/dev/'.length)}"\n`,
    },
  ]);
  // The key file of the root file system that boots opens it.
  await execa('cryptsetup', [
    'open',
    '--test-passphrase',
    '--key-file',
    path.join(top, 'etc/key'),
    others[0]!,
  ]);
  const trees = await execa('btrfs', ['inspect-internal', 'dump-tree', '-t', 'root', others.at(-1)!]);
  expect(trees.stdout).toMatch(/key \(FS_TREE ROOT_REF 300\).*\n.* name @home$/m);
  // Of a file system that is mounted, only what it has.
  const rootTree = await execa('btrfs', ['inspect-internal', 'dump-tree', '-t', 'root', root!]);
  expect(rootTree.stdout).toMatch(/ name shared$/m);
  expect(rootTree.stdout).not.toMatch(/ name absent$/m);
  for (const disk of [root!, others.at(-1)!]) await execa('btrfs', ['check', '--readonly', disk]);
  await execa('xfs_repair', ['-n', others[2]!]);
  const restored = path.join(workspace.path, 'restored');
  mkdirSync(restored);
  await execa('btrfs', ['restore', '--snapshots', root!, restored]);
  const files = (await execa('find', ['.', '-type', 'f'], { cwd: restored })).stdout.split('\n').sort();
  const layer = `./deep/store/layers/${chain[0]}`;
  expect(files).toEqual(
    [
      './deep/store/deployments/desktop/1/boot',
      './deep/store/deployments/desktop/persist/%2Flib/modules/1.0/modules.dep',
      ...['boot/vmlinuz-1.0', 'etc/number', 'lib/modules/1.0/modules.dep', 'sbin/init'].map(
        (file) => `${layer}/${file}`,
      ),
      ...['crypttab', 'fstab', 'key'].map((file) => `./${path.basename(top)}/etc/${file}`),
    ].sort(),
  );
});

it('a device that an image has in the place of a file is not read', async () => {
  await using work = await TemporaryDirectory.create();
  await execa('mknod', [path.join(work.path, 'fstab'), 'c', '1', '5']);
  using files = FilesInRoot.open(work.path);
  expect(files.readFile('/fstab')).toBeUndefined();
});

it.each([
  [{ partUuid: '0fc63daf-8483-4772-8e79-3d69d8477de4', partLabel: 'my "home"' }, 'name="my home"'],
  [{ partUuid: '0fc63daf-8483-4772-8e79-3d69d8477de4', partLabel: undefined }, 'UUID=0FC63DAF'],
  [{ partUuid: undefined, partLabel: 'x' }, 'name="x"'],
  [{ partUuid: 'abcd1234-03', partLabel: undefined }, 'label-id: 0xabcd1234'],
])('a disk of a gate is a partition as this machine has it: %j', async (part, told) => {
  await using work = await TemporaryDirectory.create();
  const content = path.join(work.path, 'content');
  await execa('truncate', ['-s', '8M', content]);
  await execa('mkfs.ext4', ['-q', content]);
  const disk = path.join(work.path, 'disk1');
  await makePartitioned(disk, { content, sizeBytes: 8 * 2 ** 20, ...part });
  const { stdout } = await execa('sfdisk', ['--dump', disk]);
  expect(stdout.toLowerCase()).toContain(told.toLowerCase());
  expect(stdout).toMatch(/^\S*1[p]?[13] : start= *2048, size= *16384,/m);
  await execa('dd', [`if=${disk}`, `of=${disk}.part`, 'bs=1M', 'skip=1', 'count=8']);
  await execa('cmp', [`${disk}.part`, content]);
});

/** A device with what a program makes on it. Dispose it. */
async function loop(program: string, ...args: string[]): Promise<AsyncDisposable & { path: string }> {
  const directory = await TemporaryDirectory.create();
  const file = path.join(directory.path, 'disk');
  await execa('truncate', ['-s', '400M', file]);
  const { stdout } = await execa('losetup', ['--find', '--show', file]);
  await execa(program, [...args, stdout]);
  return {
    path: stdout,
    async [Symbol.asyncDispose]() {
      await execa('losetup', ['--detach', stdout]);
      await directory[Symbol.asyncDispose]();
    },
  };
}
