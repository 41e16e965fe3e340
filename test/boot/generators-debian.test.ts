import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { bookwormImage, freshDisk, machineOf } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { inDeployments } from '../support/deployment-disk.ts';
import { expectClean, onDisk } from '../support/disk-check.ts';
import { initramfsOf } from '../support/generators.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

describe('a Debian with systemd, by our hooks in the initramfs', () => {
  it.for([
    { generator: 'initramfs-tools', filesystem: 'btrfs', deployment: undefined },
    { generator: 'dracut', filesystem: 'ext4', deployment: undefined },
    { generator: 'dracut-systemd', filesystem: 'btrfs', deployment: 'desktop/1' },
    { generator: 'mkinitcpio', filesystem: 'ext4', deployment: undefined },
  ] as const)(
    'of $generator, runs on $filesystem and leaves it clean',
    { timeout: 600_000 },
    async ({ generator, filesystem, deployment }, context) => {
      await using work = await TemporaryDirectory.create();
      const topLayer = path.join(work.path, 'top');
      await mkdir(path.join(topLayer, 'etc'), { recursive: true });
      await writeFile(path.join(topLayer, 'etc/hostname'), 'toplayer\n');
      const disk = await freshDisk(work.path, await bookwormImage(), { filesystem, topLayer });
      const machineOfDisk = machineOf(disk, { writable: 'ephemeral' });
      if (deployment !== undefined) {
        await inDeployments(
          disk.path,
          `mkdir -p ${deployment}; cp ../boot/test%2Fbookworm%3Alatest ${deployment}/boot`,
          'imgboot',
        );
        machineOfDisk.append = machineOfDisk.append.replace(
          /imgboot\.image=\S+/,
          `imgboot.deployment=${deployment}`,
        );
      }
      await using machine = await bootMachine(context, {
        name: generator,
        ...machineOfDisk,
        ...(await initramfsOf(generator)),
      });
      const shell = await GuestShell.login(machine);
      expect(await shell.run('systemctl is-system-running')).toBe('running');
      expect(await shell.run('hostname')).toBe('toplayer');
      expect(await shell.json<BootReport>('cat /run/imgboot/boot.json')).toMatchObject({
        reference: disk.image.reference,
        root: { device: '/dev/vda', fstype: filesystem },
        writable: { asked: 'ephemeral', got: 'ephemeral' },
        topLayer: { files: 1 },
        fallbacks: [],
        init: '/sbin/init',
      });
      const blessing = await shell.run('systemctl show -P ActiveState imgboot-bless');
      expect(blessing).toBe(deployment === undefined ? 'inactive' : 'active');
      // What the generator had under way has ended, and its mounts are gone.
      expect(await shell.run('cut -d " " -f 2 /proc/mounts | grep -E "imgboot|new_root|sysroot"')).toMatch(
        /^(\/(imgboot|var\/lib\/imgboot|run\/initramfs)\n?)*$/,
      );
      await shell.powerOff();
      await expectClean(disk);
      const good = await onDisk(disk, 'cd imgboot/deployments; ls -d */*/good 2> /dev/null || :');
      expect(good).toBe(deployment === undefined ? '' : `${deployment}/good`);
    },
  );
});
