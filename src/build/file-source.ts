import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
  readlinkSync,
  type BigIntStats,
} from 'node:fs';
import type { TarEntry } from '../layer/tar-entry.ts';
import type { ContentDigests } from './content-digests.ts';
import type { IgnoreMatcher } from './dockerfile/ignore.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { openBeneath, readXattrs } from '../system/libc.ts';

const HASH_BYTES = 1 << 20;
/** One for all: a context has many small files. */
let hashBuffer: Buffer | undefined;

/** One file or directory of a source tree. */
export interface SourceFile {
  /** From the tree's root, without symlinks in its parents, as a byte string; empty for the root. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  stats: BigIntStats;
}

/** What COPY, ADD and bind mounts read from: the build context, another stage, or an image. */
export class FileSource implements Disposable {
  readonly root: string;
  /** Whether owners and extended attributes are those of the files: a context's are nobody's business. */
  readonly keepsOwners: boolean;
  readonly #fd: number;
  readonly #ignore: IgnoreMatcher | undefined;
  readonly #digests: ContentDigests | undefined;

  constructor(
    root: string,
    options: {
      keepsOwners: boolean;
      ignore?: IgnoreMatcher | undefined;
      /** For a tree whose files keep their inodes from one build to the next. */
      digests?: ContentDigests;
    },
  ) {
    this.root = root;
    this.keepsOwners = options.keepsOwners;
    this.#ignore = options.ignore;
    this.#digests = options.digests;
    this.#fd = openSync(root, 'r');
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** The file that a path names, symlinks followed inside the tree; undefined for one that is not there or excluded. */
  find(path: string): SourceFile | undefined {
    const canonical = canonicalPath(this.root, path).slice(1);
    if (canonical !== '' && this.#ignored(canonical)) {
      // Something below an excluded directory may be let in again.
      const file = this.#look(canonical);
      return file?.type === 'directory' && this.walk(canonical).length > 0 ? file : undefined;
    }
    return this.#look(canonical);
  }

  /** Everything below a directory, parents first, in byte order; not the directory itself. */
  walk(directory: string): SourceFile[] {
    const found: SourceFile[] = [];
    for (const name of readdirSync(this.#at(directory), 'latin1').sort()) {
      const path = directory === '' ? name : `${directory}/${name}`;
      const file = this.#look(path);
      if (file === undefined) continue;
      const below =
        file.type === 'directory' && this.#ignore?.ignoresAllBelow(path) !== true ? this.walk(path) : [];
      // A directory stays for what is let in again below it.
      if (!this.#ignored(path) || below.length > 0) found.push(file);
      found.push(...below);
    }
    return found;
  }

  /** The paths below a directory that the ignore file hides, only the uppermost of each. */
  hidden(directory: string): string[] {
    if (this.#ignore === undefined) return [];
    const seen = new Set(this.walk(directory).map(({ path }) => path));
    const below = (parent: string): string[] =>
      readdirSync(this.#at(parent), 'latin1').flatMap((name) => {
        const path = parent === '' ? name : `${parent}/${name}`;
        if (!seen.has(path)) return [path];
        return this.#look(path)?.type === 'directory' ? below(path) : [];
      });
    return below(directory);
  }

  /** What a file is in a layer, at another path. */
  entry(file: SourceFile, path: string): TarEntry {
    const { stats } = file;
    return {
      type: file.type === 'other' ? 'file' : file.type,
      path,
      linkTarget: file.type === 'symlink' ? readlinkSync(this.#at(file.path), 'latin1') : '',
      mode: Number(stats.mode & 0o7777n),
      uid: this.keepsOwners ? Number(stats.uid) : 0,
      gid: this.keepsOwners ? Number(stats.gid) : 0,
      mtime: { seconds: stats.mtimeNs / 1_000_000_000n, nanoseconds: 0 },
      size: file.type === 'file' ? Number(stats.size) : 0,
      device: { major: 0, minor: 0 },
      xattrs: this.keepsOwners ? readXattrs(this.#at(file.path)) : new Map(),
      sparse: undefined,
    };
  }

  /** A descriptor of a regular file, for reading; follows no symlink, whatever has happened since. */
  open(file: SourceFile): number {
    return openBeneath(this.#fd, Buffer.from(file.path, 'latin1'));
  }

  /** The digest of a file's content in hex. */
  contentDigest(file: SourceFile): string {
    const known = this.#digests?.find(file.stats);
    if (known !== undefined) return known;
    const digest = this.#hash(file);
    this.#digests?.add(file.stats, digest);
    return digest;
  }

  #hash(file: SourceFile): string {
    const hash = createHash('sha256');
    hashBuffer ??= Buffer.allocUnsafe(HASH_BYTES);
    const buffer = hashBuffer;
    const fd = this.open(file);
    try {
      for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer))
        hash.update(buffer.subarray(0, size));
    } finally {
      closeSync(fd);
    }
    return hash.digest('hex');
  }

  #ignored(path: string): boolean {
    return this.#ignore?.ignores(path) === true;
  }

  #look(path: string): SourceFile | undefined {
    const stats = lstatSync(this.#at(path), { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    const type = stats.isFile()
      ? 'file'
      : stats.isDirectory()
        ? 'directory'
        : stats.isSymbolicLink()
          ? 'symlink'
          : 'other';
    return { path, type, stats };
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(this.root), Buffer.from(`/${path}`, 'latin1')]);
  }
}
