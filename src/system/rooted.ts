import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';

/** Something that lies in a rooted tree; no part of `path` is a symbolic link, and no part of it is `..`. */
export interface RootedEntry {
  /** Its path inside the root, absolute: `/usr/lib/x`; the root itself is the empty string. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'other';
  readonly mode: number;
  readonly sizeBytes: number;
}

/** include/linux/namei.h: MAXSYMLINKS */
const MAXSYMLINKS = 40;

/** What is read whole into memory: programs, libraries, modules. None is as large. */
const MAX_READ_BYTES = 1024 * 1024 * 1024;

/**
 * The files of a root file system that is not ours to trust. Every path is resolved inside it, as chroot(2) would:
 * an absolute symbolic link starts at the root, and `..` stops there. What was looked up is remembered, so the tree
 * must not change while it is read.
 */
export class RootedTree {
  /** The root's own path on this machine. */
  readonly root: string;
  readonly #prefix: string;
  #shared = Buffer.alloc(0);
  readonly #entries = new Map<string, RootedEntry | undefined>();
  readonly #directories = new Map<string, RootedEntry | undefined>();

  /** @throws IMGBOOT_NO_SUCH_ROOT where there is no such directory */
  constructor(root: string) {
    try {
      this.root = realpathSync(root);
    } catch (cause) {
      throw new ImgbootError('IMGBOOT_NO_SUCH_ROOT', `${root}: ${errorMessage(cause)}`, { cause });
    }
    if (!lstatSync(this.root).isDirectory()) {
      throw new ImgbootError('IMGBOOT_NO_SUCH_ROOT', `${root} is not a directory`, {
        hint: 'give the directory that holds the root file system',
      });
    }
    this.#prefix = this.root === '/' ? '' : this.root;
  }

  /** What `path` names, all symbolic links followed; undefined where there is nothing. */
  resolve(path: string): RootedEntry | undefined {
    return this.#walk(path, { start: '', hops: 0, followLast: true });
  }

  /** What `path` names, its last part not followed when it is a symbolic link. */
  locate(path: string): RootedEntry | undefined {
    return this.#walk(path, { start: '', hops: 0, followLast: false });
  }

  /** Like {@link resolve}, for a regular file. */
  resolveFile(path: string): RootedEntry | undefined {
    const entry = this.resolve(path);
    return entry?.kind === 'file' ? entry : undefined;
  }

  /** Where a symbolic link that {@link locate} found leads, as it is written. */
  targetOf(entry: RootedEntry): string {
    return this.#attempt(entry.path, () => readlinkSync(this.#prefix + entry.path));
  }

  /** The content of a regular file, links followed; undefined where there is none. */
  readFile(path: string): Buffer | undefined {
    const entry = this.resolveFile(path);
    return entry === undefined ? undefined : this.read(entry);
  }

  /** The content of a file that {@link resolve} found, or its first bytes. */
  read(entry: RootedEntry, limitBytes = Number.POSITIVE_INFINITY): Buffer {
    return this.#read(
      entry,
      (sizeBytes) => Buffer.allocUnsafeSlow(Math.min(sizeBytes, limitBytes)),
      limitBytes,
    );
  }

  /** Like {@link read}, into memory that the next such call uses again: for reading much, one after the other. */
  readShared(entry: RootedEntry): Buffer {
    return this.#read(entry, (sizeBytes) => {
      if (this.#shared.length < sizeBytes)
        this.#shared = Buffer.allocUnsafeSlow(sizeBytes + (sizeBytes >> 1));
      return this.#shared.subarray(0, sizeBytes);
    });
  }

  #read(
    entry: RootedEntry,
    allocate: (sizeBytes: number) => Buffer,
    limitBytes = Number.POSITIVE_INFINITY,
  ): Buffer {
    // Not through a link that took the file's place, and not stuck in a fifo that did.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = this.#attempt(entry.path, () => openSync(this.#prefix + entry.path, flags));
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile())
        throw new ImgbootError('IMGBOOT_CANNOT_READ', `${entry.path} is not a regular file`);
      if (stat.size > MAX_READ_BYTES && limitBytes > MAX_READ_BYTES) throw tooLarge(entry.path, stat.size);
      return this.#attempt(entry.path, () => fill(fd, allocate(stat.size)));
    } finally {
      closeSync(fd);
    }
  }

  /** The names in a directory, links followed, in byte order; none where there is no such directory. */
  list(path: string): string[] {
    const entry = path === '' || path === '/' ? this.resolve('/') : this.resolve(path);
    if (entry?.kind !== 'directory') return [];
    return this.#attempt(entry.path, () => readdirSync(this.hostPath(entry))).sort(byBytes);
  }

  /** Where an entry lies on this machine. Only for what follows no further link on it. */
  hostPath(entry: RootedEntry): string {
    return entry.path === '' ? this.root : this.#prefix + entry.path;
  }

  #walk(path: string, from: { start: string; hops: number; followLast: boolean }): RootedEntry | undefined {
    const cut = path.lastIndexOf('/');
    const name = path.slice(cut + 1);
    const directory = this.#directory(cut <= 0 ? path.slice(0, cut + 1) : path.slice(0, cut), from);
    if (directory === undefined) return undefined;
    return this.#enter(directory, name, from);
  }

  /** The directory that the leading part of a path names. */
  #directory(path: string, from: { start: string; hops: number }): RootedEntry | undefined {
    if (path === '') return this.#entry(from.start);
    if (path === '/') return this.#entry('');
    // A link's relative target is looked up from where the link is: only absolute paths are remembered.
    const absolute = path.startsWith('/');
    if (absolute && this.#directories.has(path)) return this.#directories.get(path);
    const entry = this.#walk(path, { ...from, followLast: true });
    const directory = entry?.kind === 'directory' ? entry : undefined;
    if (absolute && from.hops === 0) this.#directories.set(path, directory);
    return directory;
  }

  #enter(
    directory: RootedEntry,
    name: string,
    from: { hops: number; followLast: boolean },
  ): RootedEntry | undefined {
    if (name === '' || name === '.') return directory;
    if (name === '..')
      return this.#entry(directory.path.slice(0, Math.max(0, directory.path.lastIndexOf('/'))));
    const entry = this.#entry(`${directory.path}/${name}`);
    if (entry?.kind !== 'symlink' || !from.followLast) return entry;
    if (from.hops >= MAXSYMLINKS) return undefined;
    const target = this.#attempt(entry.path, () => readlinkSync(this.#prefix + entry.path));
    return this.#walk(target, { start: directory.path, hops: from.hops + 1, followLast: true });
  }

  /** lstat(2) of a path whose directories are no links. */
  #entry(path: string): RootedEntry | undefined {
    if (this.#entries.has(path)) return this.#entries.get(path);
    const stat = this.#attempt(path, () => tryLstat(path === '' ? this.root : this.#prefix + path));
    const entry: RootedEntry | undefined = stat && {
      path,
      kind: stat.isFile()
        ? 'file'
        : stat.isDirectory()
          ? 'directory'
          : stat.isSymbolicLink()
            ? 'symlink'
            : 'other',
      mode: stat.mode & 0o7777,
      sizeBytes: stat.size,
    };
    this.#entries.set(path, entry);
    return entry;
  }

  #attempt<Result>(path: string, action: () => Result): Result {
    try {
      return action();
    } catch (cause) {
      if (cause instanceof ImgbootError) throw cause;
      throw new ImgbootError(
        'IMGBOOT_CANNOT_READ',
        `cannot read ${path} in ${this.root}: ${errorMessage(cause)}`,
        {
          cause,
          hint: errnoOf(cause) === 'EACCES' ? 'run it as root, or make the file readable' : undefined,
        },
      );
    }
  }
}

function tryLstat(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // Nothing can have such a name.
    if (errnoOf(error) === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

function tooLarge(path: string, sizeBytes: number): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_FILE_TOO_LARGE',
    `${path} has ${sizeBytes} bytes: too many to be what it should be`,
    {
      hint: 'the file is damaged; install its package again',
    },
  );
}

function fill(fd: number, bytes: Buffer): Buffer {
  let filled = 0;
  while (filled < bytes.length) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
    if (count === 0) return bytes.subarray(0, filled);
    filled += count;
  }
  return bytes;
}

/** The order of names that no locale changes. */
export function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
