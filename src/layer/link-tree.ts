import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { modifiedAt, readXattr, readXattrs, setTimes, setXattr } from '../system/libc.ts';

const SLASH = Buffer.from('/');
const OPAQUE = 'trusted.overlay.opaque';
const REDIRECT = 'trusted.overlay.redirect';
const METACOPY = 'trusted.overlay.metacopy';

/** An upper directory that means nothing without what it was made on. @see Documentation/filesystems/overlayfs.rst */
export class RefersElsewhere extends Error {}

/**
 * Makes an overlay's upper directory as another is, with the very files of that (hard links): the directories are new,
 * with the others' owners, modes, times and extended attributes. Fails with EXDEV across file systems. Neither may
 * change meanwhile.
 * @throws RefersElsewhere where a directory was renamed, or a file's content is left, in a layer below
 */
export function linkTree(from: Buffer, to: Buffer): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { encoding: 'buffer', withFileTypes: true })) {
    const [source, target] = [from, to].map((directory) => Buffer.concat([directory, SLASH, entry.name]));
    if (entry.isDirectory()) linkTree(source!, target!);
    else {
      if (entry.isFile()) refuseMetacopy(source!);
      linkSync(source!, target!);
    }
  }
  const stats = lstatSync(from, { bigint: true });
  chownSync(to, Number(stats.uid), Number(stats.gid));
  chmodSync(to, Number(stats.mode & 0o7777n));
  for (const [name, value] of readXattrs(from)) {
    if (name === REDIRECT) throw new RefersElsewhere(from.toString());
    if (name === OPAQUE || !name.startsWith('trusted.overlay.')) setXattr(to, name, value);
  }
  setTimes(to, modifiedAt(stats));
}

/** A file without content of its own has no blocks; few others have none. */
function refuseMetacopy(path: Buffer): void {
  const { size, blocks } = lstatSync(path);
  if (size > 0 && blocks === 0 && readXattr(path, METACOPY) !== undefined)
    throw new RefersElsewhere(path.toString());
}
