import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { errnoOf } from '../errors.ts';
import type { RawPath } from './libc.ts';

/** How often a directory is emptied into which something is still being put. */
const TRIES = 5;

/**
 * Removes a file or a directory with all that it holds, whatever bytes its names are made of; follows no symlink.
 * Nothing is done when it is missing, and nothing is wrong when another removes it at the same time.
 */
export function removeTree(path: RawPath): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isDirectory()) removeDirectory(Buffer.from(path));
  else unless('ENOENT', () => unlinkSync(path));
}

function removeDirectory(path: Buffer): void {
  for (let tries = 1; ; tries += 1) {
    unless('ENOENT', () => empty(path));
    const gone = (): unknown => unless('ENOENT', () => rmdirSync(path));
    // A process that was killed may finish the system call it was in, and so put one more thing there.
    if (unless(tries < TRIES ? 'ENOTEMPTY' : undefined, gone)) return;
  }
}

function empty(path: Buffer): void {
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' })) {
    const below = Buffer.concat([path, Buffer.from('/'), entry.name]);
    if (entry.isDirectory()) removeDirectory(below);
    else unless('ENOENT', () => unlinkSync(below));
  }
}

/** Does something that may fail in one way. @returns whether it did not */
function unless(errno: string | undefined, action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (errno === undefined || errnoOf(error) !== errno) throw error;
    return false;
  }
}
