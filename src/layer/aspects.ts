import { readlinkSync, type BigIntStats } from 'node:fs';
import { readXattrs } from '../system/libc.ts';
import { sameFileContent } from '../system/same-content.ts';
import { entryTypeOf, withoutIgnored } from './changes.ts';

/** In what two files of one name can differ. */
export type Aspect = 'type' | 'content' | 'target' | 'device' | 'mode' | 'owner' | 'attributes' | 'time';

interface FileOnDisk {
  file: Buffer;
  stats: BigIntStats;
}

/** In what two files differ, but for where and when they were put on this machine; nothing where they are the same. */
export function aspectsThatDiffer(a: FileOnDisk, b: FileOnDisk): Aspect[] {
  const [was, is] = [a.stats, b.stats];
  const type = entryTypeOf(is);
  if (entryTypeOf(was) !== type) return ['type'];
  const found: Aspect[] = [];
  if (type === 'file' && (was.size !== is.size || !sameFileContent(a.file, b.file))) found.push('content');
  if (type === 'symlink' && readlinkSync(a.file, 'latin1') !== readlinkSync(b.file, 'latin1'))
    found.push('target');
  if (was.rdev !== is.rdev) found.push('device');
  if (was.mode !== is.mode) found.push('mode');
  if (was.uid !== is.uid || was.gid !== is.gid) found.push('owner');
  if (attributesOf(a.file) !== attributesOf(b.file)) found.push('attributes');
  // A directory's is changed by each name that comes and goes; and with other content, another time is no news.
  if (was.mtimeNs !== is.mtimeNs && type !== 'directory' && found.length === 0) found.push('time');
  return found;
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

function attributesOf(file: Buffer): string {
  return [...withoutIgnored(readXattrs(file))]
    .map(([name, value]) => `${name}=${value.toString('hex')}`)
    .join(' ');
}
