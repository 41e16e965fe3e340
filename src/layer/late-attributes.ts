import { lstatSync } from 'node:fs';
import { modifiedAt, readXattr, removeXattr, setTimes, setXattr, type TimeSpec } from '../system/libc.ts';
import { ACCESS_ACL, DEFAULT_ACL } from './attributes.ts';
import type { TarEntry } from './tar-entry.ts';

interface Late {
  time: TimeSpec;
  defaultAcl: Buffer | undefined;
}

/**
 * What directories get only when nothing is put into them any more: their times, which that changes, and their
 * default ACLs, which what is put in would inherit. By canonical path, the root's empty.
 */
export class LateAttributes {
  readonly #directories = new Map<string, Late>();

  /** Notes what a directory has now, before it is worked in. */
  keep(directory: string): void {
    if (this.#directories.has(directory)) return;
    const path = pathOf(directory);
    const defaultAcl = readXattr(path, DEFAULT_ACL);
    if (defaultAcl !== undefined) removeXattr(path, DEFAULT_ACL);
    this.#directories.set(directory, {
      time: modifiedAt(lstatSync(path, { bigint: true })),
      defaultAcl,
    });
  }

  /** Notes what an entry says of a directory. @returns the extended attributes that it may get at once */
  describe(directory: string, entry: TarEntry): ReadonlyMap<string, Buffer> {
    const defaultAcl = entry.xattrs.get(DEFAULT_ACL);
    this.#directories.set(directory, { time: entry.mtime, defaultAcl });
    if (defaultAcl === undefined) return entry.xattrs;
    return new Map([...entry.xattrs].filter(([name]) => name !== DEFAULT_ACL));
  }

  /** Notes a new directory that no entry describes; it inherits what the one above it, which is known, passes on. */
  inherit(directory: string, { above, time }: { above: string; time: TimeSpec }): void {
    const defaultAcl = this.#directories.get(above)?.defaultAcl;
    if (defaultAcl !== undefined) setXattr(pathOf(directory), ACCESS_ACL, defaultAcl);
    this.#directories.set(directory, { time, defaultAcl });
  }

  /** A directory is gone, with all that was in it. */
  forget(directory: string): void {
    for (const known of this.#directories.keys()) {
      if (known === directory || known.startsWith(`${directory}/`)) this.#directories.delete(known);
    }
  }

  apply(): void {
    for (const [directory, { time, defaultAcl }] of this.#directories) {
      const path = pathOf(directory);
      if (defaultAcl !== undefined) setXattr(path, DEFAULT_ACL, defaultAcl);
      setTimes(path, time);
    }
  }
}

function pathOf(directory: string): Buffer {
  return Buffer.from(directory === '' ? '/' : directory, 'latin1');
}
