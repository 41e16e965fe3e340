import { chmodSync, chownSync, lstatSync } from 'node:fs';
import { relative } from 'node:path';
import { errnoOf } from '../errors.ts';
import { MS_RDONLY, modifiedAt, mount, readXattrs, setTimes, setXattr } from '../system/libc.ts';

/**
 * Whatever the host's defaults are: a layer must mean the same on another kernel, so nothing that refers to
 * other inodes (index, redirects, data elsewhere) may come into it. @see Documentation/filesystems/overlayfs.rst
 */
const PLAIN = 'redirect_dir=off,metacopy=off,index=off';

export interface OverlayMount {
  target: string;
  /** Topmost first: names in `layers`, or absolute paths in the same store. */
  lower: readonly string[];
  /** Read-only when undefined. Both on one file system. */
  writable?: {
    upper: string;
    /** Empty; a `volatile` one is of no use a second time. */
    work: string;
    /**
     * Nothing is flushed, neither when a program asks for it nor at unmounting, which otherwise flushes the whole file
     * system below: for who does so later. Linux 5.10.
     */
    volatile?: boolean;
  };
}

/**
 * Mounts layers over one another. With `layers` as the working directory: the short names fit the one page of
 * options, and no character of the store's own path can be taken for a separator.
 */
export function mountOverlay(layers: string, { target, lower, writable }: OverlayMount): void {
  const name = (path: string): string => (path.startsWith('/') ? relative(layers, path) : path);
  const data = [
    `lowerdir=${lower.map(name).join(':')}`,
    ...(writable === undefined ? [] : [`upperdir=${name(writable.upper)}`, `workdir=${name(writable.work)}`]),
    PLAIN,
  ].join(',');
  const flags = writable === undefined ? MS_RDONLY : 0;
  const request = { source: 'overlay', target, type: 'overlay', flags };
  const before = process.cwd();
  process.chdir(layers);
  try {
    try {
      mount({ ...request, data: writable?.volatile === true ? `${data},volatile` : data });
    } catch (error) {
      // An older kernel.
      if (writable?.volatile !== true || errnoOf(error) !== 'EINVAL') throw error;
      mount({ ...request, data });
    }
  } finally {
    process.chdir(before);
  }
}

/** Gives a new upper directory the root metadata of the layer below: the merged root's is the upper's. */
export function copyRootMetadata(from: string, to: string): void {
  const stats = lstatSync(from, { bigint: true });
  chownSync(to, Number(stats.uid), Number(stats.gid));
  chmodSync(to, Number(stats.mode & 0o7777n));
  for (const [name, value] of readXattrs(from)) {
    if (!name.startsWith('trusted.overlay.')) setXattr(to, name, value);
  }
  setTimes(to, modifiedAt(stats));
}
