import { lstatSync, type Stats } from 'node:fs';
import { errnoOf } from '../errors.ts';

/** lstat(2) of a path, a byte string, in a directory; undefined where there is nothing, or a file on the way. */
export function statsAt(directory: string, path: string): Stats | undefined {
  try {
    return lstatSync(Buffer.from(`${directory}/${path}`, 'latin1'), { throwIfNoEntry: false });
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
