import { truncate, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { freshDisk, machineOf } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { busyboxImage } from '../support/busybox-image.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const patience = { timeoutMs: 60_000, unless: /Kernel panic|imgboot: .* To mend it:/ };

describe('an image of busybox and a kernel, without systemd', () => {
  let directory: TemporaryDirectory;
  beforeEach(async () => {
    directory = await TemporaryDirectory.create();
  });
  afterEach(async () => await directory[Symbol.asyncDispose]());

  it.for([
    { filesystem: 'btrfs', writable: 'ephemeral', root: 'btrfs' },
    { filesystem: 'ext4', writable: 'ephemeral', root: 'overlay' },
    { filesystem: 'btrfs', writable: 'ram', root: 'overlay' },
  ] as const)('boots from $filesystem, $writable', async ({ filesystem, writable, root }, context) => {
    const disk = await freshDisk(directory.path, await busyboxImage(), { filesystem });
    await using machine = await bootMachine(context, machineOf(disk, { writable }));
    expect(await machine.expect(/busybox: .*\n/, patience)).toBe(`busybox: init has ${root}\n`);
  });

  describe('on the partition of a GPT', () => {
    const partition = { name: 'the root', uuid: 'C0FFEE00-1234-4ABC-8DEF-0123456789AB' };

    it.for([
      { by: 'its path', asked: () => '/dev/vda1' },
      { by: 'its LABEL', asked: () => 'LABEL=imgboot' },
      { by: 'its UUID', asked: (uuid: string) => `UUID=${uuid}` },
      { by: 'its PARTUUID', asked: () => `PARTUUID=${partition.uuid}` },
      { by: 'its PARTLABEL, which has a blank', asked: () => `PARTLABEL=${partition.name}` },
    ])('is found by $by', async ({ asked }, context) => {
      const disk = await freshDisk(directory.path, await busyboxImage(), { filesystem: 'ext4' });
      const whole = await partitioned(disk.path, partition);
      const root = asked(disk.uuid);
      const machine = machineOf(disk, { writable: 'ephemeral', append: `"root=${root}"` });
      await using running = await bootMachine(context, {
        ...machine,
        drives: [{ path: whole, format: 'raw', access: 'write' }],
      });
      const line = await running.expect(/report: .*\n/, patience);
      const report = JSON.parse(line.replace('report: ', '')) as BootReport;
      expect(report.root).toEqual({ asked: root, device: '/dev/vda1', fstype: 'ext4' });
    });
  });
});

/** Puts a file system into the only partition of a disk, and returns the disk's file. */
async function partitioned(
  filesystem: string,
  { name, uuid }: { name: string; uuid: string },
): Promise<string> {
  const whole = `${filesystem}.gpt`;
  const { stdout } = await execa('stat', ['-c', '%s', filesystem]);
  const sectors = Number(stdout) / 512;
  await writeFile(whole, '');
  // The table at the start and its copy at the end take less than a mebibyte each.
  await truncate(whole, (sectors + 4096) * 512);
  await execa('sfdisk', ['--quiet', whole], {
    input: `label: gpt\nstart=2048, size=${sectors}, name="${name}", uuid=${uuid}\n`,
  });
  await execa('dd', [
    `if=${filesystem}`,
    `of=${whole}`,
    'bs=1M',
    'seek=1',
    'conv=notrunc,sparse',
    'status=none',
  ]);
  return whole;
}
