import {
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  fchmodSync,
  fchownSync,
  chmodSync,
  symlinkSync,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { ImgbootError, errnoOf } from '../errors.ts';
import { copyContent, makeNode, setTimes, setXattr, type TimeSpec } from '../system/libc.ts';
import { removeTree } from '../system/remove-tree.ts';
import { ignoredXattr } from './ignored-xattrs.ts';
import { splitPath, type CleanPath } from './path.ts';
import type { TarEntry, TarHandler } from './tar-entry.ts';
import { classifyName, type WhiteoutName } from './whiteout.ts';

/** A run of zeros at least this long becomes a hole. */
const HOLE_BYTES = 64 << 10;
const zeros = Buffer.alloc(HOLE_BYTES);

/** linux/stat.h */
const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/**
 * Applies one layer tar to the root directory `/` of this process, which must be the merged view of the layer's
 * parents, entered with chroot(2): the kernel then keeps every name, link and symlink inside it. Synchronous.
 *
 * Deletions touch only what the parents brought: an entry of this layer survives a whiteout of its own layer,
 * whatever their order. Directories that the layer does not name keep their times.
 * @see image-spec layer.md
 */
export class LayerApplier implements TarHandler {
  /** Canonical paths that this layer made or replaced. */
  readonly #own = new Set<string>();
  /** Times that directories shall have once nothing is added to them any more, by canonical path. */
  readonly #directoryTimes = new Map<string, TimeSpec>();
  /** A directory as the layer writes it -> its canonical path. */
  readonly #canonical = new Map<string, string>([['', '']]);
  #file: { fd: number; path: string; entry: TarEntry; end: number } | undefined;

  entry(entry: TarEntry): void {
    const path = splitPath(entry.path);
    if (path.name === '') {
      if (entry.type === 'directory') this.#setMetadata('/', entry);
      return;
    }
    const name = classifyName(path.name, entry.path);
    if (name.kind === 'ignored') return;
    if (name.kind === 'entry') this.#create(entry, path);
    else this.#whiteout(name, path.parent);
  }

  data(chunk: Buffer, offset: number): void {
    const file = this.#file;
    if (file === undefined) return;
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + HOLE_BYTES);
      // Only whole, aligned blocks: what is shorter costs no disk either way.
      const hole = piece.length === HOLE_BYTES && piece.equals(zeros);
      const length = hole ? HOLE_BYTES : dataLength(chunk, at);
      if (!hole) writeFully(file.fd, chunk.subarray(at, at + length), offset + at);
      at += length;
      file.end = hole ? file.end : Math.max(file.end, offset + at);
    }
  }

  /** The whole content of the last entry, from the start of an open file: shared where the file system can. */
  content(fd: number): void {
    if (this.#file === undefined) return;
    copyContent(fd, this.#file.fd);
    this.#file.end = this.#file.entry.size;
  }

  endEntry(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      if (file.end < file.entry.size) ftruncateSync(file.fd, file.entry.size);
      fchownSync(file.fd, file.entry.uid, file.entry.gid);
      fchmodSync(file.fd, file.entry.mode);
    } finally {
      closeSync(file.fd);
    }
    this.#setXattrs(file.path, file.entry);
    setTimes(bytes(file.path), file.entry.mtime);
  }

  /** Call once after the last entry: gives the directories their times. */
  finish(): void {
    for (const [path, time] of this.#directoryTimes) setTimes(bytes(path === '' ? '/' : path), time);
  }

  #create(entry: TarEntry, { parent, name }: CleanPath): void {
    const directory = this.#enter(parent, entry.mtime);
    const path = `${directory}/${name}`;
    switch (entry.type) {
      case 'directory':
        this.#makeDirectory(path, entry);
        break;
      case 'file':
        this.#replace(path, () => {
          this.#file = { fd: openSync(bytes(path), 'wx', 0o600), path, entry, end: 0 };
        });
        break;
      case 'hardlink':
        this.#hardLink(path, entry);
        break;
      case 'symlink':
        this.#replace(path, () => symlinkSync(bytes(entry.linkTarget), bytes(path)));
        this.#setMetadata(path, entry);
        break;
      default:
        this.#replace(path, () => makeSpecial(path, entry));
        this.#setMetadata(path, entry);
    }
    this.#own.add(path);
  }

  #makeDirectory(path: string, entry: TarEntry): void {
    try {
      mkdirSync(bytes(path), 0o700);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (!lstatSync(bytes(path)).isDirectory()) {
        this.#remove(path);
        mkdirSync(bytes(path), 0o700);
      }
    }
    this.#setMetadata(path, entry);
  }

  #hardLink(path: string, entry: TarEntry): void {
    const target = splitPath(entry.linkTarget);
    const source = `${this.#resolve(target.parent)}/${target.name}`;
    if (source === path) return;
    try {
      this.#replace(path, () => linkSync(bytes(source), bytes(path)));
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT' && errnoOf(cause) !== 'EPERM') throw cause;
      throw new ImgbootError(
        'IMGBOOT_BAD_LAYER',
        `the layer has a hard link ${show(entry.path)} to ${show(entry.linkTarget)}, which is not a file of the image`,
        { cause },
      );
    }
    // In an overlay the link copies its file up: it is this layer's from now on.
    this.#claim(source);
  }

  /** Makes something at a path, in the place of whatever is there. */
  #replace(path: string, make: () => void): void {
    try {
      make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      this.#remove(path);
      make();
    }
  }

  #whiteout(whiteout: WhiteoutName & { kind: 'whiteout' | 'opaque' }, parent: string): void {
    let directory: string;
    try {
      directory = this.#resolve(parent);
    } catch (error) {
      // Nothing there to hide.
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return;
      throw error;
    }
    this.#keepTimes(directory);
    if (whiteout.kind === 'opaque') this.#removeInherited(directory);
    else this.#removeUnlessOwn(`${directory}/${whiteout.name}`);
  }

  #removeUnlessOwn(path: string): void {
    if (this.#own.has(path)) {
      if (lstatSync(bytes(path)).isDirectory()) this.#removeInherited(path);
    } else this.#remove(path);
  }

  #removeInherited(directory: string): void {
    for (const name of readdirSync(bytes(`${directory}/`), 'latin1'))
      this.#removeUnlessOwn(`${directory}/${name}`);
  }

  /** The canonical path of a directory that is about to get an entry; makes it when it is missing. */
  #enter(parent: string, time: TimeSpec): string {
    let directory: string;
    try {
      directory = this.#resolve(parent);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.#badParent(parent, error);
      const { parent: grandparent, name } = splitPath(parent);
      directory = `${this.#enter(grandparent, time)}/${name}`;
      try {
        mkdirSync(bytes(directory), 0o755);
      } catch (cause) {
        throw this.#badParent(parent, cause);
      }
      this.#directoryTimes.set(directory, time);
      this.#canonical.set(parent, directory);
    }
    this.#claim(directory);
    this.#keepTimes(directory);
    return directory;
  }

  #badParent(parent: string, cause: unknown): unknown {
    const errno = errnoOf(cause);
    if (errno !== 'ENOTDIR' && errno !== 'ELOOP' && errno !== 'EEXIST') return cause;
    return new ImgbootError(
      'IMGBOOT_BAD_LAYER',
      `the layer puts a file into ${show(parent)}, which is not a directory of the image`,
      { cause },
    );
  }

  /** Follows symlinks, as the kernel does inside the root. */
  #resolve(parent: string): string {
    const known = this.#canonical.get(parent);
    if (known !== undefined) return known;
    const real = realpathSync.native(bytes(`/${parent}`), 'buffer').toString('latin1');
    const canonical = real === '/' ? '' : real;
    if (!lstatSync(bytes(real)).isDirectory())
      throw Object.assign(new Error(`not a directory: ${show(parent)}`), { code: 'ENOTDIR' });
    this.#canonical.set(parent, canonical);
    return canonical;
  }

  #keepTimes(directory: string): void {
    if (this.#directoryTimes.has(directory)) return;
    this.#directoryTimes.set(
      directory,
      modifiedAt(lstatSync(bytes(directory === '' ? '/' : directory), { bigint: true })),
    );
  }

  /** This layer needs the path, and so the directories above it. */
  #claim(path: string): void {
    for (let at = path; !this.#own.has(at); at = at.slice(0, at.lastIndexOf('/'))) {
      this.#own.add(at);
      if (at === '') break;
    }
  }

  /** Removes whatever is at a path, and what was known below or through it. */
  #remove(path: string): void {
    const stats = lstatSync(bytes(path), { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (stats.isDirectory() || stats.isSymbolicLink()) {
      this.#canonical.clear();
      this.#canonical.set('', '');
      for (const kept of this.#directoryTimes.keys()) {
        if (kept === path || kept.startsWith(`${path}/`)) this.#directoryTimes.delete(kept);
      }
    }
    removeTree(bytes(path));
  }

  #setMetadata(path: string, entry: TarEntry): void {
    lchownSync(bytes(path), entry.uid, entry.gid);
    if (entry.type !== 'symlink') chmodSync(bytes(path), entry.mode);
    this.#setXattrs(path, entry);
    if (entry.type === 'directory') this.#directoryTimes.set(path === '/' ? '' : path, entry.mtime);
    else setTimes(bytes(path), entry.mtime);
  }

  #setXattrs(path: string, entry: TarEntry): void {
    for (const [name, value] of entry.xattrs) {
      if (!ignoredXattr.test(name)) setXattr(bytes(path), name, value);
    }
  }
}

function makeSpecial(path: string, entry: TarEntry): void {
  const { major, minor } = entry.device;
  if (entry.type === 'character' && major === 0 && minor === 0) {
    throw new ImgbootError(
      'IMGBOOT_BAD_LAYER',
      `the layer has a character device 0:0 at ${show(entry.path)}, which is what overlayfs takes for a deletion`,
      {
        hint: 'the image was made from the inside of an overlay; make it again from the merged view',
      },
    );
  }
  const type = entry.type === 'fifo' ? S_IFIFO : entry.type === 'block' ? S_IFBLK : S_IFCHR;
  try {
    makeNode(bytes(path), type | 0o600, entry.device);
  } catch (error) {
    // mknod(2) says it in its own words; the caller looks for Node's.
    throw errnoOf(error) === 'EEXIST' ? Object.assign(new Error('exists'), { code: 'EEXIST' }) : error;
  }
}

/** How far data goes from `at`: up to the next block that is all zeros. */
function dataLength(chunk: Buffer, at: number): number {
  let end = at + HOLE_BYTES;
  while (end + HOLE_BYTES <= chunk.length && !chunk.subarray(end, end + HOLE_BYTES).equals(zeros))
    end += HOLE_BYTES;
  return Math.min(end + HOLE_BYTES > chunk.length ? chunk.length : end, chunk.length) - at;
}

function writeFully(fd: number, data: Buffer, position: number): void {
  for (let done = 0; done < data.length;)
    done += writeSync(fd, data, done, data.length - done, position + done);
}

function modifiedAt(stats: BigIntStats): TimeSpec {
  const nanoseconds = ((stats.mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: (stats.mtimeNs - nanoseconds) / 1_000_000_000n, nanoseconds: Number(nanoseconds) };
}

/** The bytes of a byte string, as the kernel takes names. */
function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** A byte string for the user's eyes. */
function show(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString('utf8'));
}
