import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { RawPath } from './libc.ts';

const COMPARE_BYTES = 1 << 18;
/** Not through a link that took the file's place, and not stuck in a fifo that did. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** One pair for all: many small files are compared one after the other. */
let pair: readonly [Buffer, Buffer] | undefined;

/** Whether two regular files have the same content. */
export function sameFileContent(first: RawPath, second: RawPath): boolean {
  const files: number[] = [];
  try {
    for (const path of [first, second]) files.push(openSync(path, FLAGS));
    return sameContent(files[0]!, files[1]!);
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Whether what is left to be read of two open files is the same. */
export function sameContent(first: number, second: number): boolean {
  pair ??= [Buffer.allocUnsafeSlow(COMPARE_BYTES), Buffer.allocUnsafeSlow(COMPARE_BYTES)];
  const [ours, theirs] = pair;
  for (;;) {
    const [a, b] = [readSync(first, ours), readSync(second, theirs)];
    if (a !== b || !ours.subarray(0, a).equals(theirs.subarray(0, b))) return false;
    if (a === 0) return true;
  }
}
