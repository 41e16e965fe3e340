import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { deployImage } from '../../src/deploy/deploy.ts';
import { Contents } from '../../src/initramfs/contents.ts';
import { parseModuleSelection } from '../../src/initramfs/module-request.ts';
import { Store } from '../../src/store/store.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { diskOf, firmwareMachine, loaderImage } from '../support/disk-fixtures.ts';
import { diskParts, onEsp, type PartedDisk } from '../support/disk-parts.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const patience = { timeoutMs: 120_000, unless: /imgboot# / };

it.for([
  { loader: 'systemd-boot', firmware: 'uefi', filesystem: 'ext4' },
  { loader: 'grub', firmware: 'bios', filesystem: 'btrfs' },
] as const)(
  'after three kernel panics before any initramfs, $loader on $firmware boots the version before',
  { timeout: 600_000 },
  async ({ loader, firmware, filesystem }, context) => {
    await using directory = await TemporaryDirectory.create();
    const file = path.join(directory.path, 'disk');
    const { path: made } = await diskOf(await loaderImage(), file, { loader, firmware, filesystem });
    const disk: PartedDisk = { path: made, filesystem, ...(await diskParts(made)) };
    await addBrokenVersion(disk, directory.path);

    const place = { firmware, directory: directory.path };
    await using machine = await bootMachine(context, {
      ...firmwareMachine({ path: made, format: 'raw' }, place),
      onReboot: 'restart',
    });
    await machine.expect('imgboot: booting loaders/1', { ...patience, timeoutMs: 400_000 });
    const panics = machine.console.text.match(/Kernel panic - not syncing: VFS/g) ?? [];
    expect(panics).toHaveLength(3);
    await machine.expect('\nname: image\n', patience);
  },
);

/** Adds a second version, the default, whose initramfs is none; the first was good. */
async function addBrokenVersion(disk: PartedDisk, directory: string): Promise<void> {
  const [root, esp] = ['root', 'esp'].map((name) => path.join(directory, name)) as [string, string];
  await mkdir(esp);
  await onEsp(disk, 'mcopy', ['-s', '-n', '::/*', esp]);
  await mkdir(root);
  const { offsetBytes, sizeBytes } = disk.root;
  const options = `loop,offset=${offsetBytes},sizelimit=${sizeBytes}`;
  await execa('mount', ['-t', disk.filesystem, '-o', options, disk.path, root]);
  try {
    const store = Store.open(path.join(root, 'imgboot'));
    await writeFile(path.join(store.paths.deployments, 'loaders/1/good'), '');
    const [image] = store.images();
    const deployed = await deployImage(store, {
      reference: image!.reference!,
      writable: 'ephemeral',
      append: ['console=ttyS0', 'loglevel=4', 'panic=1'],
      topLayer: [],
      persist: [],
      keep: 2,
      modules: parseModuleSelection('virtio', new Contents()),
      bootDirectory: esp,
    });
    expect(deployed.id).toBe('loaders/2');
  } finally {
    await execa('umount', [root]);
  }
  await writeFile(path.join(esp, 'imgboot/loaders-2/initrd.img'), 'no archive');
  await onEsp(disk, 'mdeltree', ['::/loader']).catch(() => '');
  await onEsp(disk, 'mcopy', ['-s', '-o', '-n', ...(await contentsOf(esp)), '::/']);
}

async function contentsOf(directory: string): Promise<string[]> {
  const { stdout } = await execa('find', [directory, '-mindepth', '1', '-maxdepth', '1']);
  return stdout.split('\n');
}
