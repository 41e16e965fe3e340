import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { readXattrs } from '../system/libc.ts';
import { sameFileContent } from '../system/same-content.ts';

/** One path at which two trees differ. */
export interface TreeDifference {
  /** From the root, as a byte string. */
  path: string;
  /** What differs: "mode 755 / 700", "only in the first". */
  what: string;
}

/** overlayfs's own bookkeeping; an opaque mark is content and stays. */
const bookkeeping = /^trusted\.overlay\.(?!opaque$)/;

/**
 * Where two directories differ: names, types, modes, owners, modification times, sizes, contents, extended
 * attributes, symlink targets, device numbers, and which names are hard links of one another.
 * Overlay layers are compared as they lie on the disk, whiteouts and all. Ends after `limit` differences.
 */
export function compareTrees(first: string, second: string, limit = 20): TreeDifference[] {
  const comparison = new Comparison(first, second, limit);
  comparison.directory('');
  return comparison.differences;
}

class Comparison {
  readonly differences: TreeDifference[] = [];
  readonly #roots: readonly [string, string];
  readonly #limit: number;
  /** Inode in the first tree -> inode in the second; a hard link must meet the pair it met before. */
  readonly #linked = new Map<bigint, bigint>();

  constructor(first: string, second: string, limit: number) {
    this.#roots = [first, second];
    this.#limit = limit;
  }

  directory(path: string): void {
    this.#metadata(path);
    const [names, others] = this.#roots.map((root) => new Set(readdirSync(at(root, path), 'latin1'))) as [
      Set<string>,
      Set<string>,
    ];
    for (const name of [...new Set([...names, ...others])].sort()) {
      if (this.differences.length >= this.#limit) return;
      const below = `${path}/${name}`;
      if (!others.has(name)) this.#differs(below, 'only in the first');
      else if (!names.has(name)) this.#differs(below, 'only in the second');
      else this.#entry(below);
    }
  }

  #entry(path: string): void {
    const [a, b] = this.#stats(path);
    if (typeOf(a) !== typeOf(b)) this.#differs(path, `type ${typeOf(a)} / ${typeOf(b)}`);
    else if (a.isDirectory()) this.directory(path);
    else if (!(isWhiteout(a) && isWhiteout(b))) {
      this.#metadata(path);
      this.#sameLink(path, a, b);
      if (a.isSymbolicLink())
        this.#same(
          path,
          'target',
          this.#roots.map((root) => readlinkSync(at(root, path), 'latin1')),
        );
      else if (a.isFile()) this.#content(path, a, b);
      else if (a.isBlockDevice() || a.isCharacterDevice()) this.#same(path, 'device', [a.rdev, b.rdev]);
    }
  }

  #metadata(path: string): void {
    const [a, b] = this.#stats(path);
    this.#same(path, 'mode', [(a.mode & 0o7777n).toString(8), (b.mode & 0o7777n).toString(8)]);
    this.#same(path, 'owner', [`${a.uid}:${a.gid}`, `${b.uid}:${b.gid}`]);
    this.#same(path, 'time', [a.mtimeNs, b.mtimeNs]);
    const [ours, theirs] = this.#roots.map((root) => showXattrs(readXattrs(at(root, path))));
    this.#same(path, 'extended attributes', [ours!, theirs!]);
  }

  #content(path: string, a: BigIntStats, b: BigIntStats): void {
    if (a.size !== b.size) this.#differs(path, `size ${a.size} / ${b.size}`);
    else if (!sameFileContent(at(this.#roots[0], path), at(this.#roots[1], path)))
      this.#differs(path, 'content');
  }

  #sameLink(path: string, a: BigIntStats, b: BigIntStats): void {
    if (a.nlink === 1n && b.nlink === 1n) return;
    const partner = this.#linked.get(a.ino);
    if (partner === undefined) this.#linked.set(a.ino, b.ino);
    else if (partner !== b.ino) this.#differs(path, 'hard links');
    this.#same(path, 'link count', [a.nlink, b.nlink]);
  }

  #same(path: string, what: string, [a, b]: readonly unknown[]): void {
    if (a !== b) this.#differs(path, `${what} ${String(a)} / ${String(b)}`);
  }

  #differs(path: string, what: string): void {
    this.differences.push({ path: path === '' ? '/' : path, what });
  }

  #stats(path: string): [BigIntStats, BigIntStats] {
    return this.#roots.map((root) => lstatSync(at(root, path), { bigint: true })) as [
      BigIntStats,
      BigIntStats,
    ];
  }
}

function at(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(root), Buffer.from(path, 'latin1')]);
}

/** A deletion in an overlay layer; its time and owner mean nothing, and overlayfs links all of them together. */
function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n;
}

function typeOf(stats: BigIntStats): string {
  return (stats.mode & 0o170000n).toString(8);
}

function showXattrs(xattrs: Map<string, Buffer>): string {
  return [...xattrs]
    .filter(([name]) => !bookkeeping.test(name))
    .map(([name, value]) => `${name}=${value.toString('hex')}`)
    .join(' ');
}
