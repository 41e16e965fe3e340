import { chmodSync } from 'node:fs';
import { setTimes } from '../system/libc.ts';

/** What a root directory is until a layer describes it: the same on every machine and at any time. */
export function makePlainRoot(path: string): void {
  chmodSync(path, 0o755);
  setTimes(path, { seconds: 0n, nanoseconds: 0 });
}
