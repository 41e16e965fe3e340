import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FlushedDisk, spreadCuts, writeLeft } from '../../qemu/power-cut/cut.ts';
import { makeSweepDisk } from '../../qemu/power-cut/disk.ts';
import { writeImages } from '../../qemu/power-cut/images.ts';
import { tryPoint } from '../../qemu/power-cut/point.ts';
import { copyDisk, record, type Recording } from '../../qemu/power-cut/record.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** Pieces of 4 KiB. */
const KEPT = 100;
const LOST = 101;

// A sample of `npm run power-cut`, at the points where most is at stake.
it('a deployment that loses the power boots, old or new, and is whole', { timeout: 900_000 }, async () => {
  await using work = await TemporaryDirectory.create();
  const images = path.join(work.path, 'images');
  await mkdir(images);
  const disk = await makeSweepDisk(work.path, {
    images: await writeImages(images),
    kind: { filesystem: 'ext4', loader: 'extlinux', firmware: 'bios' },
  });
  const recording = await record(disk, {
    directory: work.path,
    session: {
      name: 'deploy',
      commands: [
        // Between the partition table and the first partition: one piece that is flushed, one that is not.
        `printf kept | dd of=/dev/vda bs=4096 seek=${KEPT} conv=sync,fsync oflag=direct`,
        `printf lost | dd of=/dev/vda bs=4096 seek=${LOST} conv=sync oflag=direct`,
        'imgboot deploy machine:latest --name other --persist /home --modules virtio --top-layer LABEL=imgboot:/toplayer --append "console=ttyS0 quiet"',
      ],
      share: 1,
    },
  });
  expect([recording.before.default, recording.after.default]).toEqual(['machine/1', 'other/1']);
  expect(await piecesAfterLosing(recording)).toEqual(['kept', '']);
  const flushed = new FlushedDisk({ disk: recording.base, log: recording.log }, recording.entries);
  const { commandFrom: from, commandTo: to, entries } = recording;
  // In the boot, and when everything is written but for the last.
  const cuts = [
    ...spreadCuts(entries, { from: 0, to: from, count: 1, seed: 5 }),
    ...spreadCuts(entries, { from: from + (to - from) * 0.9, to, count: 1, seed: 6 }),
  ];
  for (const cut of cuts) {
    const { found } = await tryPoint(disk, {
      recording,
      cut,
      flushed,
      flushedPath: recording.base,
      directory: work.path,
    });
    const { outcome, faults } = await found;
    expect(faults).toEqual([]);
    expect(['old', 'new']).toContain(outcome);
  }
});

/** What the two pieces have when the power goes right after the second was written. */
async function piecesAfterLosing({ base, log, entries }: Recording): Promise<string[]> {
  const disk = `${base}.pieces`;
  await copyDisk(base, disk);
  const last = entries.findIndex((entry) => entry.kind === 'write' && entry.offset === LOST * 4096);
  const cut = { given: last + 1, unflushed: 'lost', seed: 0 } as const;
  const pending = new FlushedDisk({ disk, log }, entries).advance(cut);
  expect(pending).toContain(entries[last]);
  writeLeft(disk, { log, entries: pending, cut });
  await using file = await open(disk);
  const pieces = [KEPT, LOST].map(async (piece) => await file.read(Buffer.alloc(4), 0, 4, piece * 4096));
  return (await Promise.all(pieces)).map(({ buffer }) => buffer.toString().replaceAll('\0', ''));
}
