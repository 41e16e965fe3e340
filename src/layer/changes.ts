import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { readXattrs, setTimes, type TimeSpec } from '../system/libc.ts';
import { ignoredXattr } from './ignored-xattrs.ts';
import type { EntryType, TarEntry } from './tar-entry.ts';

/** One entry of the layer that an upper directory makes. */
export interface Change {
  entry: TarEntry;
  /** The regular file below the upper directory that has the content, as a byte string. */
  source: string | undefined;
}

/** linux/stat.h */
const S_IFMT = 0o170000n;
const entryTypes = new Map<bigint, EntryType>([
  [0o100000n, 'file'],
  [0o040000n, 'directory'],
  [0o120000n, 'symlink'],
  [0o020000n, 'character'],
  [0o060000n, 'block'],
  [0o010000n, 'fifo'],
]);

const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/**
 * The change that an overlay's upper directory holds, in the canonical order and form: the same change gives the
 * same entries on every file system. Times are whole seconds, as docker's are, and at most `latestSeconds`; the upper
 * directory gets the same times, so that it is what its layer makes. The upper root itself is no entry.
 * Sockets are left out: a tar has no form for them.
 */
export function scanChanges(upper: string, latestSeconds: bigint | undefined): Change[] {
  const scan = new Scan(upper, latestSeconds);
  scan.directory('');
  return scan.changes;
}

/** What kind of entry something on the disk is; undefined for a socket, which a tar has no form for. */
export function entryTypeOf(stats: BigIntStats): EntryType | undefined {
  return entryTypes.get(stats.mode & S_IFMT);
}

/** Whether it is a deletion, as overlayfs keeps one. */
export function isWhiteoutNode(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n;
}

class Scan {
  readonly changes: Change[] = [];
  readonly #upper: string;
  readonly #latest: bigint | undefined;
  /** Inode -> its first path. */
  readonly #links = new Map<bigint, string>();

  constructor(upper: string, latest: bigint | undefined) {
    this.#upper = upper;
    this.#latest = latest;
  }

  directory(path: string): void {
    const names = readdirSync(this.#at(path), 'latin1').sort();
    const forbidden = names.find((name) => name.startsWith('.wh.'));
    if (forbidden !== undefined) {
      throw new ImgbootError(
        'IMGBOOT_BAD_LAYER',
        `the file ${JSON.stringify(`${path}/${forbidden}`)} cannot be kept: in a layer, a name that begins with .wh. deletes a file`,
        { hint: 'rename or remove it in the same step' },
      );
    }
    for (const name of names) this.#entry(path === '' ? name : `${path}/${name}`);
  }

  #entry(path: string): void {
    const stats = lstatSync(this.#at(path), { bigint: true });
    const type = entryTypeOf(stats);
    if (type === undefined) return;
    if (isWhiteoutNode(stats)) return this.#add(whiteoutEntry(path));
    if (type !== 'directory' && stats.nlink > 1n) {
      const first = this.#links.get(stats.ino);
      if (first !== undefined)
        return this.#add({
          ...this.#metadata(path, stats),
          type: 'hardlink',
          linkTarget: first,
          size: 0,
          xattrs: noXattrs,
        });
      this.#links.set(stats.ino, path);
    }
    const xattrs = readXattrs(this.#at(path));
    const entry = { ...this.#metadata(path, stats), type, xattrs: withoutIgnored(xattrs) };
    if (type === 'directory')
      return this.#subdirectory(path, entry, xattrs.get('trusted.overlay.opaque')?.toString() === 'y');
    if (type === 'symlink') entry.linkTarget = readlinkSync(this.#at(path), 'latin1');
    this.#settleTime(path, stats, entry.mtime);
    this.#add(entry, type === 'file' ? path : undefined);
  }

  #subdirectory(path: string, entry: TarEntry, opaque: boolean): void {
    this.#add({ ...entry, path: `${path}/` });
    if (opaque) this.#add(whiteoutEntry(`${path}/.wh..opq`));
    this.directory(path);
    this.#settleTime(path, lstatSync(this.#at(path), { bigint: true }), entry.mtime);
  }

  #metadata(path: string, stats: BigIntStats): TarEntry {
    return metadataEntry(path, stats, this.#latest);
  }

  #settleTime(path: string, stats: BigIntStats, time: TimeSpec): void {
    if (stats.mtimeNs !== time.seconds * 1_000_000_000n) setTimes(this.#at(path), time);
  }

  #add(entry: TarEntry, source?: string): void {
    this.changes.push({ entry, source });
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(this.#upper), Buffer.from(`/${path}`, 'latin1')]);
  }
}

/** What a tar says of something on the disk beside its type, its extended attributes and a link's target. */
export function metadataEntry(path: string, stats: BigIntStats, latest: bigint | undefined): TarEntry {
  const seconds = floorSeconds(stats.mtimeNs);
  return {
    type: 'file',
    path,
    linkTarget: '',
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: {
      seconds: latest !== undefined && seconds > latest ? latest : seconds,
      nanoseconds: 0,
    },
    size: stats.isFile() ? Number(stats.size) : 0,
    device:
      stats.isCharacterDevice() || stats.isBlockDevice() ? deviceOf(stats.rdev) : { major: 0, minor: 0 },
    xattrs: noXattrs,
    sparse: undefined,
  };
}

/** The entry that deletes a path. @see image-spec layer.md, "Whiteouts" */
export function whiteoutEntry(path: string): TarEntry {
  const slash = path.lastIndexOf('/') + 1;
  return {
    type: 'file',
    path: `${path.slice(0, slash)}.wh.${path.slice(slash)}`,
    linkTarget: '',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0n, nanoseconds: 0 },
    size: 0,
    device: { major: 0, minor: 0 },
    xattrs: noXattrs,
    sparse: undefined,
  };
}

/** Those that are the image's. */
export function withoutIgnored(xattrs: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  if (xattrs.size === 0) return noXattrs;
  return new Map([...xattrs].filter(([name]) => !ignoredXattr.test(name)));
}

function floorSeconds(nanoseconds: bigint): bigint {
  const seconds = nanoseconds / 1_000_000_000n;
  return nanoseconds < seconds * 1_000_000_000n ? seconds - 1n : seconds;
}

/** sys/sysmacros.h: gnu_dev_major, gnu_dev_minor */
function deviceOf(rdev: bigint): { major: number; minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}
