import { closeSync, openSync, readSync } from 'node:fs';
import type { RawPath } from './libc.ts';

const COMPARE_BYTES = 1 << 18;

/** Whether two files have the same content. */
export function sameFileContent(first: RawPath, second: RawPath): boolean {
  const files = [openSync(first, 'r'), openSync(second, 'r')] as const;
  try {
    return sameContent(...files);
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Whether what is left to be read of two open files is the same. */
export function sameContent(first: number, second: number): boolean {
  const buffers = [Buffer.allocUnsafe(COMPARE_BYTES), Buffer.allocUnsafe(COMPARE_BYTES)] as const;
  for (;;) {
    const [a, b] = [readSync(first, buffers[0]), readSync(second, buffers[1])];
    if (a !== b || !buffers[0].subarray(0, a).equals(buffers[1].subarray(0, b))) return false;
    if (a === 0) return true;
  }
}
