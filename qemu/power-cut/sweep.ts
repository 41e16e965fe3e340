import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { FlushedDisk, spreadCuts, type Cut } from './cut.ts';
import { makeSweepDisk, type DiskKind, type SweepDisk } from './disk.ts';
import { tryPoint, type PointResult } from './point.ts';
import { record, type Recording } from './record.ts';
import { sessions } from './sessions.ts';

/** What was found at the points of one kind of disk and one command. */
export interface Figures {
  disk: string;
  command: string;
  points: number;
  /** Of these, those before the command began: in the boot. */
  inBoot: number;
  old: number;
  new: number;
  failures: number;
  /** Points at which only fsck.vfat had something to tidy up. */
  fatLeft: number;
  seconds: number;
}

export interface SweepOptions {
  images: { one: string; two: string };
  points: number;
  /** The commands that are cut; the others only prepare the disk. */
  commands: ReadonlySet<string>;
  directory: string;
  /** Is told of each point. */
  tell: (line: string) => void;
}

/** A third of a session's points is in the boot before its command. */
const BOOT_SHARE = 1 / 3;

export function titleOf({ filesystem, loader, firmware }: DiskKind): string {
  return `${filesystem}, ${loader} (${firmware.toUpperCase()})`;
}

/** Cuts the power of one kind of disk at so many points. */
export async function sweepDisk(kind: DiskKind, options: SweepOptions): Promise<Figures[]> {
  const { images, points, tell } = options;
  const directory = path.join(options.directory, `${kind.filesystem}-${kind.loader}`);
  await mkdir(directory);
  const disk = await makeSweepDisk(directory, { images, kind });
  const figures: Figures[] = [];
  for (const session of sessions) {
    const since = Date.now();
    const recording = await record(disk, { directory, session });
    const seconds = (Date.now() - since) / 1000;
    const flushes = recording.entries.filter((entry) => entry.kind === 'flush').length;
    tell(`${session.name}: recorded ${flushes} flushes in ${seconds.toFixed(0)} s`);
    if (!options.commands.has(session.name)) continue;
    const cuts = cutsOf(recording, Math.round(points * session.share));
    figures.push(await sweepSession(disk, { recording, cuts, directory, tell }));
  }
  await rm(directory, { recursive: true });
  return figures;
}

function cutsOf({ entries, commandFrom }: Recording, points: number): Cut[] {
  const inBoot = Math.round(points * BOOT_SHARE);
  return [
    ...spreadCuts(entries, { from: 0, to: commandFrom, count: inBoot, seed: 1 }),
    ...spreadCuts(entries, { from: commandFrom, to: Infinity, count: points - inBoot, seed: 1001 }),
  ].toSorted((one, other) => one.given - other.given);
}

async function sweepSession(
  disk: SweepDisk,
  options: { recording: Recording; cuts: Cut[]; directory: string; tell: (line: string) => void },
): Promise<Figures> {
  const { recording, cuts, directory, tell } = options;
  const { entries, base, log, session, commandFrom } = recording;
  const flushed = new FlushedDisk({ disk: base, log }, entries);
  const since = Date.now();
  const results: PointResult[] = [];
  const take = async (
    found: Promise<PointResult>,
    { index, cut }: { index: number; cut: Cut },
  ): Promise<void> => {
    const result = await found;
    results.push(result);
    const where = `${session.name} ${index + 1}/${cuts.length}, at ${cut.given} of ${entries.length} (unflushed ${cut.unflushed})`;
    tell(`${where}: ${[result.outcome, ...result.faults, ...result.fatLeft].join('; ')}`);
  };
  let judged: Promise<void> = Promise.resolve();
  for (const [index, cut] of cuts.entries()) {
    const { found } = await tryPoint(disk, { recording, cut, flushed, flushedPath: base, directory });
    // One machine and one check at a time, beside each other.
    await judged;
    judged = take(found, { index, cut });
  }
  await judged;
  const count = (isSo: (result: PointResult) => boolean): number => results.filter(isSo).length;
  return {
    disk: titleOf(disk),
    command: session.name,
    points: cuts.length,
    inBoot: cuts.filter(({ given }) => entries[given - 1]!.at < commandFrom).length,
    old: count(({ outcome, faults }) => faults.length === 0 && outcome === 'old'),
    new: count(({ outcome, faults }) => faults.length === 0 && outcome === 'new'),
    failures: count(({ faults }) => faults.length > 0),
    fatLeft: count(({ fatLeft }) => fatLeft.length > 0),
    seconds: Math.round((Date.now() - since) / 1000),
  };
}
