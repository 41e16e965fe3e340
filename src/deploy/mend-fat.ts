import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailed } from '../errors.ts';
import { removeOnFat } from '../system/durable.ts';
import { runCommand } from '../system/exec.ts';
import { unmount } from '../system/libc.ts';
import { findProgram } from '../system/requirements-check.ts';

/** What fsck.vfat saves lost clusters as, at the top. */
const SAVED = /^FSCK\d{4}\.REC$/;
/** @see fsck.fat(8) */
const FAULTY = 1;
const anyStatus = { okStatuses: [0, FAULTY, 2] };

/**
 * Mends a FAT that is not mounted. It has no journal: after a power cut names may lead to clusters that are free, at
 * the first change of which the kernel makes the file system read-only. What cannot be mended is left to whoever
 * mounts it.
 * @param mountPoint an empty directory
 * @returns to be called when the file system is mounted there: deletes what was saved of files that were never whole
 */
export async function mendFat(device: string, mountPoint: string): Promise<() => void> {
  const fsck = await findProgram('fsck.vfat');
  const nothing = (): void => {};
  if (fsck === undefined) return nothing;
  if ((await runCommand(fsck, ['-n', device], anyStatus)).exitCode !== FAULTY) return nothing;
  const known = await savedBefore(device, mountPoint);
  await runCommand(fsck, ['-a', device], anyStatus);
  if (known === undefined) return nothing;
  return () => {
    for (const name of savedIn(mountPoint)) if (!known.includes(name)) removeOnFat(join(mountPoint, name));
  };
}

/** What somebody's own fsck has saved; undefined where that cannot be told. */
async function savedBefore(device: string, mountPoint: string): Promise<string[] | undefined> {
  try {
    await runCommand('mount', ['-t', 'vfat', '-o', 'ro', device, mountPoint]);
  } catch (error) {
    if (error instanceof CommandFailed) return undefined;
    throw error;
  }
  try {
    return savedIn(mountPoint);
  } finally {
    unmount(mountPoint);
  }
}

function savedIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => SAVED.test(name));
}
