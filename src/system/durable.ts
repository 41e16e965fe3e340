import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFilesystem } from './libc.ts';

/**
 * Replaces a file's content: readers see the old or the new, also after a power cut. Atomic and durable.
 * The mode is the file's from the start. Two callers at once for one path are not supported: they need a lock.
 */
export function replaceFile(path: string, content: string, mode = 0o600): void {
  const aside = join(dirname(path), `.new-${basename(path)}`);
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
  renameSync(aside, path);
  syncDirectory(dirname(path));
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
