import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { BootReport } from '../../src/boot/boot-report.ts';
import type { Deployments } from '../../src/deploy/deployments.ts';
import { writeLeft, type Cut, type FlushedDisk } from './cut.ts';
import { findFaults, TOP_BYTES, type SweepDisk } from './disk.ts';
import { Guest } from './guest.ts';
import { copyDisk, type Recording } from './record.ts';
import { names } from './sessions.ts';
import { differences, readState } from './state.ts';

export interface PointResult {
  /** What was found deployed; neither, where that cannot be told. */
  outcome: 'old' | 'new' | 'neither';
  /** What is wrong. */
  faults: string[];
  /** What a file system without a journal may have after a power cut: clusters of nobody, the mark of a mount. */
  fatLeft: string[];
}

export interface PointOptions {
  recording: Recording;
  cut: Cut;
  flushed: FlushedDisk;
  /** The disk whose flushed state that is. */
  flushedPath: string;
  directory: string;
}

/**
 * Gives a machine the disk that a power cut left, and looks at what its boot loader gets up and what a command then
 * makes of the rest.
 * @returns when the machine is off: a promise of what was found, for which the disk is still read
 */
export async function tryPoint(
  kind: SweepDisk,
  { recording, cut, flushed, flushedPath, directory }: PointOptions,
): Promise<{ found: Promise<PointResult> }> {
  const disk = { ...kind, path: path.join(directory, `cut-${cut.given}-${cut.seed}`) };
  const entries = flushed.advance(cut);
  await copyDisk(flushedPath, disk.path);
  writeLeft(disk.path, { log: recording.log, entries, cut });
  try {
    const booted = await bootAndAsk(disk, `${disk.path}.console`);
    return { found: judge(disk, { recording, cut, booted }).catch(failed) };
  } catch (error) {
    // Disk and console stay for who looks into it.
    return { found: Promise.resolve(failed(error)) };
  }
}

function failed(error: unknown): PointResult {
  return { outcome: 'neither', faults: [(error as Error).message], fatLeft: [] };
}

/** Looks at a disk that no machine uses any more, and deletes it where nothing is wrong. */
async function judge(
  disk: SweepDisk,
  { recording, cut, booted }: { recording: Recording; cut: Cut; booted: Booted },
): Promise<PointResult> {
  const { before, after } = recording;
  const faults = [...booted.faults];
  const state = await readState(disk);
  const isAfter = sameVersions(state, after);
  const isBefore = sameVersions(state, before);
  if (isAfter || isBefore) faults.push(...differences(state, isAfter ? after : before));
  else faults.push(`deployed: ${state.versions.join(', ')}, by default ${state.default}`);
  const isDone = recording.entries[cut.given - 1]!.at >= recording.commandTo;
  if (isDone && !isAfter) faults.push('the command had said that it was done');
  if (booted.version !== before.default && booted.version !== after.default)
    faults.push(`${booted.version} was booted`);
  const found = await findFaults(disk);
  const fatLeft = found.filter(isHarmlessFat);
  faults.push(...found.filter((fault) => !isHarmlessFat(fault)));
  if (faults.length === 0)
    for (const file of [disk.path, `${disk.path}.console`]) await rm(file, { force: true });
  return { outcome: isAfter ? 'new' : isBefore ? 'old' : 'neither', faults, fatLeft };
}

interface Booted {
  version: string;
  faults: string[];
}

/** Boots, has a command change something, which is to clear away what the cut one left, and powers off. */
async function bootAndAsk(disk: SweepDisk, consoleLog: string): Promise<Booted> {
  await using guest = await Guest.boot(disk, { consoleLog });
  const faults: string[] = [];
  // What systemd would run: who deletes old layers, where there are some, and who finds the boot good.
  await guest.need(
    `[ ! -e /run/initramfs/clean ] || ${busybox} unshare -m ${busybox} sh /run/initramfs/clean`,
  );
  await guest.need('/run/initramfs/bless');
  const report = await guest.json<BootReport>('cat /run/imgboot/boot.json');
  const version = report.deployment?.got ?? '';
  const greeting = `READY ${names[version]}, top layer ${TOP_BYTES}, home seeded.`;
  if (guest.greeting !== greeting) faults.push(`${version} says "${guest.greeting}"`);
  const deployed = await guest.json<Deployments>('cat /var/lib/imgboot/deployments.json');
  await guest.need(`imgboot deployment pin ${deployed.default}`);
  const layers = await guest.need(`ls -A1 /var/lib/imgboot/deployments/${version}`);
  for (const name of layers.split('\n'))
    if (!known.test(name)) faults.push(`left over: deployments/${version}/${name}`);
  await guest.powerOff();
  return { version, faults };
}

const busybox = '/run/initramfs/bin/busybox';

/** What a version's directory has, as docs/architecture.md, 4.7, says. */
const known =
  /^(boot|vmlinuz|initrd\.img|tries|good|boot\.json|ephemeral(\.\d+)?|persistent(\.chain|\.toplayer)?|made|base\.[0-9a-f]{64}\.[0-9a-f]{16})$/;

function sameVersions(
  one: Pick<Recording['before'], 'default' | 'versions'>,
  other: Pick<Recording['before'], 'default' | 'versions'>,
): boolean {
  return one.default === other.default && one.versions.join() === other.versions.join();
}

/** The only things that fsck.vfat may say besides its version and its summary. */
const harmlessFat = [
  /^FAT: /,
  /^fsck\.fat /,
  /^(0x25: )?Dirty bit is set\./,
  / Automatically removing dirty bit\.$/,
  /^Reclaimed \d+ unused clusters? \(\d+ bytes\)\.$/,
  /^Free cluster summary (wrong|uninitialized) /,
  / (Auto-)?[Cc]orrecting\.$/,
  /^Leaving filesystem unchanged\.$/,
  /^\*\*\* Filesystem was changed \*\*\*$/,
  /: \d+ files, \d+\/\d+ clusters$/,
  /^FATs differ but appear to be intact\.$/,
  /^ {2}Using first FAT\.$/,
  /^Performing changes\.$/,
  /^There are differences between boot sector and its backup\.$/,
  /^This is mostly harmless\. Differences: /,
  /^ {2}\d+:[0-9a-f]{2}\/[0-9a-f]{2}/,
  / Not automatically fixing this\.$/,
  /^$/,
];

function isHarmlessFat(fault: string): boolean {
  return (
    fault.startsWith('FAT: ') &&
    fault
      .replace(/^FAT: /, '')
      .split('\n')
      .every((line) => harmlessFat.some((pattern) => pattern.test(line)))
  );
}
