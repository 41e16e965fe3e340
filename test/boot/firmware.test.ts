import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootMachine } from '../support/boot-machine.ts';
import { diskOf, firmwareMachine, loaderImage } from '../support/disk-fixtures.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const patience = {
  timeoutMs: 120_000,
  unless: /Kernel panic|imgboot: .* To mend it:|grub rescue>|BdsDxe: No/,
};

describe('a disk that imgboot disk made', () => {
  let directory: TemporaryDirectory;
  beforeEach(async () => {
    directory = await TemporaryDirectory.create();
  });
  afterEach(async () => await directory[Symbol.asyncDispose]());

  it.for([
    { loader: 'systemd-boot', starts: ['uefi'], filesystem: 'btrfs', format: 'qcow2' },
    { loader: 'grub', starts: ['bios', 'uefi'], filesystem: 'btrfs', format: 'raw' },
    { loader: 'refind', starts: ['uefi'], filesystem: 'ext4', format: 'raw' },
    { loader: 'extlinux', starts: ['bios'], filesystem: 'ext4', format: 'raw' },
  ] as const)(
    'boots by $loader from $filesystem, on $starts',
    async ({ loader, starts, filesystem, format }, context) => {
      const file = path.join(directory.path, `disk.${format}`);
      const disk = await diskOf(await loaderImage(), file, { loader, filesystem, format });
      for (const firmware of starts) {
        await using machine = await bootMachine(
          context,
          firmwareMachine(disk, { firmware, directory: directory.path }),
        );
        await machine.expect('imgboot: booting loaders/1', patience);
        await machine.expect('\nname: image\n', patience);
        expect(await machine.expect(/busybox: .*\n/, patience)).toBe(
          `busybox: init has ${filesystem === 'btrfs' ? 'btrfs' : 'overlay'}\n`,
        );
      }
    },
  );

  it('that is encrypted asks for its passphrase, and boots with its top layer', async (context) => {
    const topLayer = path.join(directory.path, 'top');
    await mkdir(path.join(topLayer, 'etc'), { recursive: true });
    await writeFile(path.join(topLayer, 'etc/name'), 'this machine\n');
    const passphrase = 'open sesame';
    const disk = await diskOf(await loaderImage(), path.join(directory.path, 'disk'), {
      firmware: 'bios',
      luks: { passphrase, iterMs: 50 },
      topLayer,
    });
    await using machine = await bootMachine(
      context,
      firmwareMachine(disk, { firmware: 'bios', directory: directory.path }),
    );
    await machine.expect(/Passphrase for \S+ \(\S+\): /, patience);
    machine.send('mellon\n');
    await machine.expect('that passphrase does not open', patience);
    await machine.expect(/Passphrase for \S+ \(\S+\): /, patience);
    machine.send(`${passphrase}\n`);
    await machine.expect('\nname: this machine\n', patience);
    expect(await machine.expect(/busybox: .*\n/, patience)).toBe('busybox: init has btrfs\n');
  });
});
