import { existsSync, lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { StorePaths } from '../store/paths.ts';
import { deleteSubvolume, isSubvolume } from '../system/btrfs.ts';
import { syncDirectory } from '../system/durable.ts';
import { runCommand } from '../system/exec.ts';
import { removeTree } from '../system/remove-tree.ts';
import { versionDirectory, type NamedVersion } from './deployments.ts';

export const NEW_PREFIX = '.new.';
const GONE_PREFIX = '.gone.';

/**
 * Deletes a version's files, its writable layers with the subvolumes in them included. A subvolume that we did not make
 * stays where it is. Killed in between, {@link sweepVersions} goes on.
 */
export async function removeVersion(
  paths: StorePaths,
  version: Pick<NamedVersion, 'name' | 'number'>,
): Promise<void> {
  const directory = versionDirectory(paths, version);
  if (!existsSync(directory)) return;
  // A name of its own first: what is half deleted must not be taken for a version.
  const gone = join(paths.deployments, version.name, `${GONE_PREFIX}${version.number}`);
  await removeOurs(gone);
  if (existsSync(gone)) await removeContent(directory, directory);
  else renameSync(directory, gone);
  syncDirectory(join(paths.deployments, version.name));
  await removeOurs(gone);
}

/** Deletes what lies about in a deployment's directory: half made, half deleted, or named by nothing. */
export async function sweepVersions(
  paths: StorePaths,
  { name, numbers }: { name: string; numbers: ReadonlySet<number> },
): Promise<void> {
  const directory = join(paths.deployments, name);
  for (const entry of readdirSync(directory)) {
    if (entry.startsWith(NEW_PREFIX) || entry.startsWith(GONE_PREFIX))
      await removeOurs(join(directory, entry));
    else if (/^[0-9]+$/.test(entry) && !numbers.has(Number(entry)))
      await removeVersion(paths, { name, number: Number(entry) });
  }
}

/** Deletes a directory of ours, but for foreign subvolumes and what they are in. */
async function removeOurs(path: string): Promise<void> {
  if (existsSync(path)) await removeContent(path, path);
}

/** @param top the version's directory, which has the marks of our subvolumes */
async function removeContent(path: string, top: string): Promise<void> {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    // Last: the marks tell which subvolumes are ours.
    if (below === join(top, 'made')) continue;
    if (!entry.isDirectory()) unlinkSync(below);
    else if (!isSubvolume(below)) await removeContent(below, top);
    else if (await isMarked(below, top)) deleteSubvolume(below);
  }
  const marks = join(top, 'made');
  if (path === top && readdirSync(top).join() === 'made') removeTree(marks);
  if (readdirSync(path).length === 0) rmdirSync(path);
}

/** The mark that the initramfs leaves for each subvolume it makes: its f_fsid. @see hooks/lib/writable.sh */
async function isMarked(subvolume: string, top: string): Promise<boolean> {
  const { stdout } = await runCommand('stat', ['--file-system', '--format=%i', '--', subvolume]);
  return lstatSync(join(top, 'made', stdout.trim()), { throwIfNoEntry: false })?.isDirectory() === true;
}
