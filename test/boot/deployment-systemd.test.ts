import path from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { readDiskReport } from '../../src/boot/disk-report.ts';
import { bookwormImage, freshDisk, machineOf } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { inDeployments } from '../support/deployment-disk.ts';
import { expectClean, onDisk } from '../support/disk-check.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const counted = 'imgboot-desktop-1+2-1.conf';
const others = ['debian.conf', 'imgboot-desktop-10+3.conf', 'imgboot-desktop-1-fresh.conf'];

it('a boot that reaches its target is blessed, for the initramfs and for systemd-boot', async (context) => {
  await using work = await TemporaryDirectory.create();
  const disk = await freshDisk(work.path, await bookwormImage(), { filesystem: 'btrfs' });
  const esp = path.join(work.path, 'esp');
  await makeEsp(esp, [counted, ...others]);
  await inDeployments(
    disk.path,
    `mkdir -p desktop/1 desktop/persist/%2Fhome/someone
     cp ../boot/test%2Fbookworm%3Alatest desktop/1/boot
     printf '%s\\n' persist=/home loader=systemd-boot bootuuid=ABCD-1234 bootfstype=vfat bootdir=/loader >> desktop/1/boot`,
    'imgboot',
  );
  const image = machineOf(disk, { writable: 'ephemeral' });
  await using machine = await bootMachine(context, {
    ...image,
    append: image.append.replace(/imgboot\.image=\S+/, 'imgboot.deployment=desktop/1'),
    drives: [...image.drives, { path: esp, format: 'raw', access: 'write' }],
  });
  const shell = await GuestShell.login(machine);
  expect(await shell.run('systemctl is-system-running')).toBe('running');
  const report = await shell.json<BootReport>('cat /run/imgboot/boot.json');
  expect(report).toMatchObject({
    deployment: { asked: 'desktop/1', got: 'desktop/1', try: 1 },
    fallbacks: [],
  });
  expect(await shell.run('systemctl show -P ActiveState -P Result imgboot-bless')).toBe('success\nactive');
  const reached = 'systemctl show -P ActiveEnterTimestampMonotonic graphical.target';
  const blessed = 'systemctl show -P ExecMainStartTimestampMonotonic imgboot-bless';
  expect(
    await shell.run(`[ "$(${reached})" -gt 0 ] && [ "$(${reached})" -le "$(${blessed})" ] && echo after`),
  ).toBe('after');
  // Nobody else sees what the blessing mounts.
  expect(
    await shell.run('findmnt -no OPTIONS /imgboot | cut -d, -f1; grep -c vfat /proc/self/mounts || :'),
  ).toBe('ro\n0');
  expect(await shell.run('ls /home')).toBe('someone');
  await shell.powerOff();
  await expectClean(disk);
  const left = await onDisk(disk, 'cd imgboot/deployments/desktop/1; ls; wc -c < good');
  expect(left.split('\n')).toEqual(['boot', 'boot.json', 'ephemeral', 'good', 'made', '0']);
  expect((await readDiskReport(disk.path, {})).deployment).toEqual(report.deployment);
  const { stdout } = await execa('mdir', ['-b', '-i', esp, '::/loader/entries']);
  const entries = stdout.split('\n').map((line) => path.posix.basename(line));
  expect(entries.toSorted()).toEqual([...others, 'imgboot-desktop-1.conf'].toSorted());
});

/** An ESP with entries that hold their own names. */
async function makeEsp(file: string, entries: readonly string[]): Promise<void> {
  await execa('truncate', ['-s', '16M', file]);
  await execa('mkfs.vfat', ['-i', 'ABCD1234', file]);
  await execa('mmd', ['-i', file, '::/loader', '::/loader/entries']);
  for (const entry of entries) {
    await execa('mcopy', ['-i', file, '-', `::/loader/entries/${entry}`], { input: entry });
  }
}
