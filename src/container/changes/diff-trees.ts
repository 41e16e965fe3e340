import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import {
  entryTypeOf,
  isWhiteoutNode,
  metadataEntry,
  whiteoutEntry,
  withoutIgnored,
  type Change,
} from '../../layer/changes.ts';
import { readXattrs } from '../../system/libc.ts';
import { sameFileContent } from '../../system/same-content.ts';

/** A path at which a container's root file system differs from its image's. */
export interface TreeChange extends Change {
  kind: 'added' | 'changed' | 'deleted';
  /** A byte string, relative to the root. */
  path: string;
}

export interface TreesToCompare {
  /** The whole root file system, or with `whole` false only what was changed of it: an overlay's upper directory. */
  changed: string;
  whole: boolean;
  /** The image's root file system. */
  below: string;
  /** Places that were made to be mounted over, from the root. */
  made: readonly string[];
  /** No time is later, in seconds since 1970. */
  latestSeconds: bigint | undefined;
}

/** What lies at a path, while it is not known yet whether it is a change. */
interface Node {
  path: string;
  kind: TreeChange['kind'] | 'same';
  stats: BigIntStats | undefined;
  children: Node[];
}

/**
 * What a container has changed, in the order of a layer, the same for both drivers: what is as it was is no change,
 * though an overlay has copied it; each deletion is one of its own, also where a directory was made anew; the
 * directories above a change go with it; and of a file with several names, all go with any.
 */
export function diffTrees(trees: TreesToCompare): TreeChange[] {
  return new TreeDiff(trees).run();
}

class TreeDiff {
  readonly #trees: TreesToCompare;
  readonly #made: ReadonlySet<string>;
  /** Inode -> what has that name. */
  readonly #links = new Map<bigint, Node[]>();
  /** Inode -> the first name that is a part of the change. */
  readonly #firstNames = new Map<bigint, string>();

  constructor(trees: TreesToCompare) {
    this.#trees = trees;
    this.#made = new Set(trees.made.map((path) => path.replace(/^\/+/, '')));
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
    return [...names]
      .sort()
      .flatMap((name) => this.#node(path === '' ? name : `${path}/${name}`, hasBelow) ?? []);
  }

  #node(path: string, hasBelow: boolean): Node | undefined {
    const found = lstatSync(this.#changed(path), { bigint: true, throwIfNoEntry: false });
    const isThere = found !== undefined && !isWhiteoutNode(found) && entryTypeOf(found) !== undefined;
    const below = hasBelow
      ? lstatSync(this.#below(path), { bigint: true, throwIfNoEntry: false })
      : undefined;
    if (!isThere)
      return below === undefined ? undefined : { path, kind: 'deleted', stats: undefined, children: [] };
    if (found.isDirectory()) return this.#directoryNode(path, found, below);
    const kind = below === undefined ? 'added' : this.#isSame(path, found, below) ? 'same' : 'changed';
    const node: Node = { path, kind, stats: found, children: [] };
    if (found.nlink > 1n) this.#links.set(found.ino, [...(this.#links.get(found.ino) ?? []), node]);
    else if (kind === 'same') return undefined;
    return node;
  }

  #directoryNode(path: string, stats: BigIntStats, below: BigIntStats | undefined): Node {
    const hasBelow = below?.isDirectory() === true;
    const opaque = readXattrs(this.#changed(path)).get('trusted.overlay.opaque')?.toString() === 'y';
    const children = this.#directory(path, { whole: this.#trees.whole || opaque, hasBelow });
    const kind = below === undefined ? 'added' : this.#isSame(path, stats, below) ? 'same' : 'changed';
    return { path, kind, stats, children };
  }

  #isSame(path: string, a: BigIntStats, b: BigIntStats): boolean {
    // Of a snapshot and its source, an inode that nobody has touched is the same one.
    if (this.#trees.whole && a.ino === b.ino && a.ctimeNs === b.ctimeNs) return true;
    const alike =
      a.mode === b.mode &&
      a.uid === b.uid &&
      a.gid === b.gid &&
      a.rdev === b.rdev &&
      a.mtimeNs === b.mtimeNs &&
      (!a.isFile() || a.size === b.size);
    if (!alike || this.#attributes(this.#changed(path)) !== this.#attributes(this.#below(path))) return false;
    if (a.isSymbolicLink())
      return readlinkSync(this.#changed(path), 'latin1') === readlinkSync(this.#below(path), 'latin1');
    return !a.isFile() || sameFileContent(this.#changed(path), this.#below(path));
  }

  #attributes(path: Buffer): string {
    return [...withoutIgnored(readXattrs(path))]
      .map(([name, value]) => `${name}=${value.toString('hex')}`)
      .join(' ');
  }

  #changesOf(node: Node): TreeChange[] {
    const { path, kind, stats } = node;
    if (kind === 'deleted' || stats === undefined)
      return [{ kind: 'deleted', path, entry: whiteoutEntry(path), source: undefined }];
    if (stats.isDirectory()) return this.#directoryChanges(node, stats);
    if (kind === 'same' || (kind === 'added' && stats.size === 0n && this.#made.has(path))) return [];
    return [{ kind, path, ...this.#fileChange(path, stats) }];
  }

  #directoryChanges({ path, kind, children }: Node, stats: BigIntStats): TreeChange[] {
    const below = children.flatMap((child) => this.#changesOf(child));
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
