import { readlinkSync, type BigIntStats } from 'node:fs';
import { readXattrs } from '../system/libc.ts';
import { sameFileContent } from '../system/same-content.ts';
import { withoutIgnored } from './changes.ts';

/** In what two things of the same name differ. */
export type Difference = 'type' | 'mode' | 'owner' | 'device' | 'time' | 'content' | 'target' | 'attributes';

interface Side {
  path: Buffer;
  stats: BigIntStats;
}

/** In what they differ, the cheap to find first: who wants to know only whether they do takes the first. */
export function* differencesBetween(a: Side, b: Side): Generator<Difference, void> {
  if ((a.stats.mode & S_IFMT) !== (b.stats.mode & S_IFMT)) {
    yield 'type';
    return;
  }
  const isFile = a.stats.isFile();
  if (a.stats.mode !== b.stats.mode) yield 'mode';
  if (a.stats.uid !== b.stats.uid || a.stats.gid !== b.stats.gid) yield 'owner';
  if (a.stats.rdev !== b.stats.rdev) yield 'device';
  const sameSize = a.stats.size === b.stats.size;
  if (isFile && !sameSize) yield 'content';
  if (a.stats.mtimeNs !== b.stats.mtimeNs) yield 'time';
  if (showAttributes(a.path) !== showAttributes(b.path)) yield 'attributes';
  if (a.stats.isSymbolicLink() && readlinkSync(a.path, 'latin1') !== readlinkSync(b.path, 'latin1'))
    yield 'target';
  if (isFile && sameSize && !sameFileContent(a.path, b.path)) yield 'content';
}

/** linux/stat.h */
const S_IFMT = 0o170000n;

function showAttributes(path: Buffer): string {
  return [...withoutIgnored(readXattrs(path))]
    .map(([name, value]) => `${name}=${value.toString('hex')}`)
    .join(' ');
}
