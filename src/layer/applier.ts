import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
} from 'node:fs';
import { ImgbootError, errnoOf } from '../errors.ts';
import { makeNode, setFileTimes, setTimes, type TimeSpec } from '../system/libc.ts';
import { removeTree } from '../system/remove-tree.ts';
import { clearXattrs, setXattrs } from './attributes.ts';
import { ContentWriter } from './content-writer.ts';
import { LateAttributes } from './late-attributes.ts';
import { splitPath, type CleanPath } from './path.ts';
import type { TarEntry, TarHandler } from './tar-entry.ts';
import { classifyName, type WhiteoutName } from './whiteout.ts';

/** linux/stat.h */
const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
/** include/linux/namei.h */
const MAXSYMLINKS = 40;
const S_ISUID_ISGID_ISVTX = 0o7000;

const plainName: WhiteoutName = { kind: 'entry' };

/**
 * Applies one layer tar to the root directory `/` of this process, which must be the merged view of the layer's
 * parents, entered with chroot(2): the kernel then keeps every name, link and symlink inside it. Synchronous; the
 * process's umask must be 0 (enter-root.ts).
 *
 * Deletions touch only what the parents brought: an entry of this layer survives a whiteout of its own layer,
 * whatever their order. Directories that the layer does not name keep their times.
 * @see image-spec layer.md
 */
export class LayerApplier implements TarHandler {
  /** Canonical paths that this layer made or replaced. */
  readonly #own = new Set<string>();
  readonly #late = new LateAttributes();
  /** A directory as the layer writes it -> its canonical path. */
  readonly #canonical = new Map<string, string>([['', '']]);
  readonly #isLayer: boolean;
  #file: { fd: number; path: string; entry: TarEntry; content: ContentWriter } | undefined;

  /** @param options `plainNames` for a tar that is no layer: a name that begins with `.wh.` deletes nothing there */
  constructor({ plainNames = false }: { plainNames?: boolean } = {}) {
    this.#isLayer = !plainNames;
  }

  entry(entry: TarEntry): void {
    const path = splitPath(entry.path);
    if (path.name === '') {
      if (entry.type === 'directory') this.#describeDirectory('', entry);
      return;
    }
    const name = this.#isLayer ? classifyName(path.name, entry.path) : plainName;
    if (name.kind === 'ignored') return;
    if (name.kind === 'entry') this.#create(entry, path);
    else this.#whiteout(name, path.parent);
  }

  data(chunk: Buffer, offset: number): void {
    this.#file?.content.write(chunk, offset);
  }

  /** The whole content of the last entry, from the start of an open file: shared where the file system can. */
  content(fd: number): void {
    this.#file?.content.copyFrom(fd);
  }

  endEntry(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const { fd, entry } = file;
    try {
      file.content.finish();
      fchownSync(fd, entry.uid, entry.gid);
      // A change of the owner takes them away.
      if ((entry.mode & S_ISUID_ISGID_ISVTX) !== 0) fchmodSync(fd, entry.mode);
      if (entry.xattrs.size > 0) setXattrs(bytes(file.path), entry.xattrs);
      setFileTimes(fd, entry.mtime);
    } finally {
      closeSync(fd);
    }
  }

  /** Call once after the last entry: gives the directories what acts on the things put into them. */
  finish(): void {
    this.#late.apply();
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
          const fd = openSync(bytes(path), 'wx', entry.mode & 0o777);
          this.#file = { fd, path, entry, content: new ContentWriter(fd, entry.size) };
        });
        break;
      case 'hardlink':
        this.#hardLink(path, entry);
        break;
      case 'symlink':
        this.#replace(path, () => symlinkSync(bytes(entry.linkTarget), bytes(path)));
        describe(path, entry);
        break;
      default:
        this.#replace(path, () => makeSpecial(path, entry));
        describe(path, entry);
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
    this.#describeDirectory(path, entry);
  }

  /** A directory that is there already gets the entry's attributes and keeps none of its own. */
  #describeDirectory(path: string, entry: TarEntry): void {
    const place = bytes(path === '' ? '/' : path);
    clearXattrs(place);
    lchownSync(place, entry.uid, entry.gid);
    chmodSync(place, entry.mode);
    setXattrs(place, this.#late.describe(path, entry));
  }

  #hardLink(path: string, entry: TarEntry): void {
    const target = splitPath(entry.linkTarget);
    try {
      const source = `${this.#resolve(target.parent)}/${target.name}`;
      if (source !== path) this.#replace(path, () => linkSync(bytes(source), bytes(path)));
    } catch (cause) {
      const errno = errnoOf(cause) ?? '';
      if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'EPERM'].includes(errno)) throw cause;
      throw new ImgbootError(
        'IMGBOOT_BAD_LAYER',
        `the layer has a hard link ${show(entry.path)} to ${show(entry.linkTarget)}, which is not a file of the image`,
        { cause },
      );
    }
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
    if (whiteout.kind === 'opaque') this.#removeInherited(directory);
    else {
      this.#late.keep(directory);
      this.#removeUnlessOwn(`${directory}/${whiteout.name}`);
    }
  }

  #removeUnlessOwn(path: string): void {
    if (this.#own.has(path)) {
      if (lstatSync(bytes(path)).isDirectory()) this.#removeInherited(path);
    } else this.#remove(path);
  }

  #removeInherited(directory: string): void {
    this.#late.keep(directory);
    for (const name of readdirSync(bytes(`${directory}/`), 'latin1'))
      this.#removeUnlessOwn(`${directory}/${name}`);
  }

  /** The canonical path of a directory that is about to get an entry; makes it when it is missing. */
  #enter(parent: string, time: TimeSpec, hops = 0): string {
    let directory: string;
    try {
      directory = this.#resolve(parent);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw badParent(parent, error);
      if (hops > MAXSYMLINKS) throw notADirectory(parent, error);
      directory = this.#makeParent(parent, time, hops);
    }
    this.#claim(directory);
    this.#late.keep(directory);
    return directory;
  }

  /** A directory that the layer uses and does not describe: as mkdir makes it, with the time of the first thing in it. */
  #makeParent(parent: string, time: TimeSpec, hops: number): string {
    const { parent: grandparent, name } = splitPath(parent);
    const above = this.#enter(grandparent, time, hops);
    const directory = `${above}/${name}`;
    try {
      mkdirSync(bytes(directory), 0o755);
    } catch (cause) {
      if (errnoOf(cause) !== 'EEXIST') throw badParent(parent, cause);
      // A symbolic link to where nothing is yet, such as /var/run -> /run: as umoci does, what it names is made.
      const target = readlinkSync(bytes(directory), 'latin1');
      return this.#enter(target.startsWith('/') ? target : `${above}/${target}`, time, hops + 1);
    }
    this.#late.inherit(directory, { above, time });
    this.#canonical.set(parent, directory);
    return directory;
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
      if (stats.isDirectory()) this.#late.forget(path);
    }
    removeTree(bytes(path));
  }
}

/** What a new file that is no regular one and no directory gets. */
function describe(path: string, entry: TarEntry): void {
  const place = bytes(path);
  lchownSync(place, entry.uid, entry.gid);
  if (entry.type !== 'symlink') chmodSync(place, entry.mode);
  setXattrs(place, entry.xattrs);
  setTimes(place, entry.mtime);
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
  makeNode(bytes(path), type | 0o600, entry.device);
}

function badParent(parent: string, cause: unknown): unknown {
  const errno = errnoOf(cause);
  return errno === 'ENOTDIR' || errno === 'ELOOP' ? notADirectory(parent, cause) : cause;
}

function notADirectory(parent: string, cause: unknown): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_BAD_LAYER',
    `the layer puts a file into ${show(parent)}, which is not a directory of the image`,
    { cause },
  );
}

/** The bytes of a byte string, as the kernel takes names. */
function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** A byte string for the user's eyes. */
function show(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString('utf8'));
}
