import type { BigIntStats } from 'node:fs';
import { differencesBetween, type Difference } from '../layer/differences.ts';

interface FileOnDisk {
  file: Buffer;
  stats: BigIntStats;
}

/** In what two files of one name differ, but for where and when they were put on this machine. */
export function aspectsThatDiffer(a: FileOnDisk, b: FileOnDisk): Difference[] {
  const found = [...differencesBetween({ path: a.file, stats: a.stats }, { path: b.file, stats: b.stats })];
  // A directory's time is changed by each name that comes and goes; and with other content, another time is no news.
  const isNews = found.length === 1 && !b.stats.isDirectory();
  return isNews ? found : found.filter((difference) => difference !== 'time');
}

/** Of a snapshot and its source: a file that nobody has touched has its number, and the time of its last change. */
export function isUntouched(a: BigIntStats, b: BigIntStats): boolean {
  return (
    a.ino === b.ino &&
    a.ctimeNs === b.ctimeNs &&
    a.mtimeNs === b.mtimeNs &&
    a.mode === b.mode &&
    a.size === b.size
  );
}
