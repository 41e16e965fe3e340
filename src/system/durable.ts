import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFilesystem } from './libc.ts';

/**
 * Replaces a file's content: readers see the old or the new, also after a power cut. Atomic and durable.
 * The mode is the file's from the start. Two callers at once for one path are not supported: they need a lock.
 */
export function replaceFile(path: string, content: string, mode = 0o600): void {
  renameSync(writeAside(path, content, mode), path);
  syncDirectory(dirname(path));
}

/** The same on a file system that may be FAT; see {@link renameOnFat}. */
export function replaceFileOnFat(path: string, content: string, mode = 0o600): void {
  renameOnFat(writeAside(path, content, mode), path);
}

/**
 * Renames a file or directory, durably, on a file system that may be FAT. There a name says where its file begins, and
 * Linux writes that with the inode: when only the directory is synced, a new name leads to nothing, and one that was
 * taken over to clusters that have been freed, at which the kernel makes the file system read-only.
 */
export function renameOnFat(from: string, to: string): void {
  // Its clusters are freed when no name on the disk leads to them any more.
  const replaced = existsSync(to) ? openSync(to, 'r') : undefined;
  try {
    renameSync(from, to);
    syncTree(dirname(to));
    // On FAT, only this empties the disk's own cache.
    syncDirectory(dirname(to));
  } finally {
    if (replaced !== undefined) closeSync(replaced);
  }
}

/**
 * Removes a file or a directory with all that is in it, durably, on a file system that may be FAT: the clusters of each
 * are freed when its name is gone from the disk, so that no name ever leads to free ones.
 */
export function removeOnFat(path: string): void {
  const fd = openSync(path, 'r');
  try {
    if (fstatSync(fd).isDirectory()) {
      for (const name of readdirSync(path)) removeOnFat(join(path, name));
      rmdirSync(path);
    } else {
      unlinkSync(path);
    }
    syncDirectory(dirname(path));
  } finally {
    closeSync(fd);
  }
}

/** Deletes what a {@link replaceFile} of this path left that was stopped. */
export function removeAside(path: string): void {
  rmSync(asideOf(path), { force: true });
}

function asideOf(path: string): string {
  return join(dirname(path), `.new-${basename(path)}`);
}

/** Writes a file beside the one that it is to become. @returns its path */
function writeAside(path: string, content: string, mode: number): string {
  const aside = asideOf(path);
  const fd = openSync(aside, 'w', mode);
  try {
    // Until all of it is written: a single write to a full disk may take a part and call that success.
    writeFileSync(fd, content);
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(aside);
    throw error;
  } finally {
    closeSync(fd);
  }
  return aside;
}

/** Makes renames and removals in a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes everything on the file system of `path` durable: what fsync of one file does not do for a tree. */
export function syncTree(path: string): void {
  const fd = openSync(path, 'r');
  try {
    syncFilesystem(fd);
  } finally {
    closeSync(fd);
  }
}
