import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import type { RawPath } from './libc.ts';

/**
 * Removes a file or a directory with all that it holds, whatever bytes its names are made of; follows no symlink.
 * Nothing is done when it is missing.
 */
export function removeTree(path: RawPath): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats !== undefined) remove(Buffer.from(path), stats.isDirectory());
}

function remove(path: Buffer, isDirectory: boolean): void {
  if (!isDirectory) return unlinkSync(path);
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' })) {
    remove(Buffer.concat([path, Buffer.from('/'), entry.name]), entry.isDirectory());
  }
  rmdirSync(path);
}
