import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { readXattrs } from '../system/libc.ts';
import {
  entryTypeOf,
  isWhiteoutNode,
  metadataEntry,
  whiteoutEntry,
  withoutIgnored,
  type Change,
} from './changes.ts';
import { differencesBetween, type Difference } from './differences.ts';

/** A path at which a root file system differs from the one that it was made of. */
export interface TreeChange extends Change {
  kind: 'added' | 'changed' | 'deleted';
  /** A byte string, relative to the root. */
  path: string;
}

export interface TreesToCompare {
  /** The whole root file system, or with `whole` false only what was changed of it: an overlay's upper directory. */
  changed: string;
  /** Its inodes are those of `below`, but for what was changed: it is a snapshot of it. */
  whole: boolean;
  /** Of what is not whole, a tree of what was put there first: a name that it has and `changed` has not is gone. */
  given?: string | undefined;
  /** What it was made of. */
  below: string;
  /** Places that were made to be mounted over, from the root. */
  made: readonly string[];
  /** No time is later, in seconds since 1970. */
  latestSeconds: bigint | undefined;
  /** Which changes to tell, by their paths: all where undefined. A new directory comes with what is wanted in it. */
  wanted?: ReadonlySet<string>;
  /** Directories that are neither looked into nor told. */
  passOver?: (path: string) => boolean;
  /**
   * Of a whole tree, the inode numbers of the directories in which, or somewhere below which, something was changed:
   * others are not looked into. Unknown where undefined.
   */
  touched?: ReadonlySet<number> | undefined;
}

/** What lies at a path, while it is not known yet whether it is a change. */
interface Node {
  path: string;
  kind: TreeChange['kind'] | 'same';
  stats: BigIntStats | undefined;
  children: Node[];
  /** A directory where there was none. */
  isNew?: boolean;
}

/**
 * What was changed, in the order of a layer, the same for both drivers: what is as it was is no change,
 * though an overlay has copied it; each deletion is one of its own, also where a directory was made anew; the
 * directories above a change go with it; and of a file with several names, all go with any.
 */
export function diffTrees(trees: TreesToCompare): TreeChange[] {
  return new TreeDiff(trees).run();
}

class TreeDiff {
  readonly #trees: TreesToCompare;
  readonly #made: ReadonlySet<string>;
  readonly #device: bigint;
  /** Inode -> what has that name. */
  readonly #links = new Map<bigint, Node[]>();
  /** Inode -> the first name that is a part of the change. */
  readonly #firstNames = new Map<bigint, string>();

  constructor(trees: TreesToCompare) {
    this.#trees = trees;
    this.#made = new Set(trees.made.map((path) => path.replace(/^\/+/, '')));
    this.#device = lstatSync(trees.changed, { bigint: true }).dev;
  }

  run(): TreeChange[] {
    const nodes = this.#directory('', { whole: this.#trees.whole, hasBelow: true });
    for (const linked of this.#links.values()) {
      if (linked.every(({ kind }) => kind === 'same')) continue;
      for (const node of linked) if (node.kind === 'same') node.kind = 'changed';
    }
    return nodes.flatMap((node) => this.#changesOf(node));
  }

  #directory(path: string, { whole, hasBelow }: { whole: boolean; hasBelow: boolean }): Node[] {
    const names = new Set(readdirSync(this.#changed(path), 'latin1'));
    if (whole && hasBelow) for (const name of readdirSync(this.#below(path), 'latin1')) names.add(name);
    if (!whole && hasBelow) for (const name of this.#givenIn(path)) names.add(name);
    return [...names]
      .sort()
      .flatMap((name) => this.#node(path === '' ? name : `${path}/${name}`, hasBelow) ?? []);
  }

  #givenIn(path: string): string[] {
    if (this.#trees.given === undefined) return [];
    const directory = Buffer.from(`${this.#trees.given}/${path}`, 'latin1');
    const isThere = lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
    return isThere ? readdirSync(directory, 'latin1') : [];
  }

  #node(path: string, hasBelow: boolean): Node | undefined {
    if (this.#trees.whole && hasBelow && this.#isUntouched(path)) return undefined;
    const found = lstatSync(this.#changed(path), { bigint: true, throwIfNoEntry: false });
    const isThere = found !== undefined && !isWhiteoutNode(found) && entryTypeOf(found) !== undefined;
    const below = hasBelow
      ? lstatSync(this.#below(path), { bigint: true, throwIfNoEntry: false })
      : undefined;
    if (!isThere)
      return below === undefined ? undefined : { path, kind: 'deleted', stats: undefined, children: [] };
    if (found.isDirectory())
      return this.#trees.passOver?.(path) === true ? undefined : this.#directoryNode(path, found, below);
    const kind = below === undefined ? 'added' : this.#isSame(path, found, below) ? 'same' : 'changed';
    const node: Node = { path, kind, stats: found, children: [] };
    if (found.nlink > 1n) this.#links.set(found.ino, [...(this.#links.get(found.ino) ?? []), node]);
    else if (kind === 'same') return undefined;
    return node;
  }

  /**
   * Whether a file with one name is the very inode that it was made of, or a directory has nothing but such. Most of a
   * system is: without big integers this takes a third of the time.
   */
  #isUntouched(path: string): boolean {
    const { touched } = this.#trees;
    const found = lstatSync(this.#changed(path), { throwIfNoEntry: false });
    if (found === undefined) return false;
    const isDirectory = found.isDirectory();
    if (isDirectory ? touched?.has(found.ino) !== false : found.nlink > 1) return false;
    const below = lstatSync(this.#below(path), { throwIfNoEntry: false });
    if (below === undefined || found.ino !== below.ino) return false;
    return isDirectory || found.ctimeMs === below.ctimeMs;
  }

  #directoryNode(path: string, stats: BigIntStats, below: BigIntStats | undefined): Node {
    const hasBelow = below?.isDirectory() === true;
    const whole = this.#trees.whole || isOpaque(this.#changed(path));
    // What lies in a subvolume of its own is no part of a snapshot.
    const children = stats.dev === this.#device ? this.#directory(path, { whole, hasBelow }) : [];
    const kind = below === undefined ? 'added' : this.#isSame(path, stats, below) ? 'same' : 'changed';
    return { path, kind, stats, children, isNew: !hasBelow };
  }

  #isSame(path: string, a: BigIntStats, b: BigIntStats): boolean {
    // Of a snapshot and its source, an inode that nobody has touched is the same one.
    if (this.#trees.whole && a.ino === b.ino && a.ctimeNs === b.ctimeNs) return true;
    const sides = [
      { path: this.#changed(path), stats: a },
      { path: this.#below(path), stats: b },
    ] as const;
    return differencesBetween(...sides).next().done === true;
  }

  #changesOf(node: Node): TreeChange[] {
    const { path, kind, stats } = node;
    const isWanted = this.#trees.wanted?.has(path) ?? true;
    if (!isWanted && stats?.isDirectory() !== true) return [];
    if (kind === 'deleted' || stats === undefined)
      return [{ kind: 'deleted', path, entry: whiteoutEntry(path), source: undefined }];
    if (stats.isDirectory()) return this.#directoryChanges(node, { stats, isWanted });
    if (kind === 'same' || (kind === 'added' && stats.size === 0n && this.#made.has(path))) return [];
    return [{ kind, path, ...this.#fileChange(path, stats) }];
  }

  #directoryChanges(
    { path, kind, children, isNew }: Node,
    { stats, isWanted }: { stats: BigIntStats; isWanted: boolean },
  ): TreeChange[] {
    const below = children.flatMap((child) => this.#changesOf(child));
    if (!isWanted && (below.length === 0 || isNew !== true)) return below;
    if (below.length === 0 && (kind === 'same' || (kind === 'added' && this.#isMade(path)))) return [];
    const xattrs = withoutIgnored(readXattrs(this.#changed(path)));
    const metadata = metadataEntry(`${path}/`, stats, this.#trees.latestSeconds);
    const entry = { ...metadata, type: 'directory' as const, xattrs };
    return [{ kind: kind === 'added' ? 'added' : 'changed', path, entry, source: undefined }, ...below];
  }

  #fileChange(path: string, stats: BigIntStats): Change {
    const entry = { ...metadataEntry(path, stats, this.#trees.latestSeconds), type: entryTypeOf(stats)! };
    if (stats.nlink > 1n) {
      const first = this.#firstNames.get(stats.ino);
      if (first !== undefined)
        return { entry: { ...entry, type: 'hardlink', linkTarget: first, size: 0 }, source: undefined };
      this.#firstNames.set(stats.ino, path);
    }
    entry.xattrs = withoutIgnored(readXattrs(this.#changed(path)));
    if (entry.type === 'symlink') entry.linkTarget = readlinkSync(this.#changed(path), 'latin1');
    return { entry, source: entry.type === 'file' ? path : undefined };
  }

  /** A directory that was made to be mounted over, or for one that was. */
  #isMade(path: string): boolean {
    return [...this.#made].some((made) => made === path || made.startsWith(`${path}/`));
  }

  #changed(path: string): Buffer {
    return Buffer.from(`${this.#trees.changed}/${path}`, 'latin1');
  }

  #below(path: string): Buffer {
    return Buffer.from(`${this.#trees.below}/${path}`, 'latin1');
  }
}

/** In what a path differs that {@link diffTrees} told as changed. */
export function explainChange(trees: Pick<TreesToCompare, 'changed' | 'below'>, path: string): Difference[] {
  const [a, b] = [trees.changed, trees.below].map((root) => {
    const full = Buffer.from(`${root}/${path}`, 'latin1');
    return { path: full, stats: lstatSync(full, { bigint: true }) };
  });
  return [...differencesBetween(a!, b!)];
}

function isOpaque(directory: Buffer): boolean {
  return readXattrs(directory).get('trusted.overlay.opaque')?.toString() === 'y';
}
