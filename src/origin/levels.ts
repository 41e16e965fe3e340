import { lstatSync, type BigIntStats } from 'node:fs';
import { errnoOf } from '../errors.ts';
import { isWhiteoutNode } from '../layer/changes.ts';
import { readXattr } from '../system/libc.ts';

/** One of the trees that lie over one another in a root file system. */
export interface Level {
  /** On this machine, absolute. */
  directory: string;
  /** All of the root file system as it is with this level, or only what the level changes: an overlay's upper directory. */
  whole: boolean;
}

/** What lies at a path. */
export interface Found {
  stats: BigIntStats;
  /** The level that it is in. */
  level: number;
  /** Where it lies on this machine. */
  file: Buffer;
}

/**
 * A root file system as it was with each of its levels. Paths are byte strings, absolute, and no part of them is taken
 * for a symbolic link: what lies below one is not there. The trees must not change meanwhile.
 */
export class Levels {
  readonly #levels: readonly Level[];
  /** By level and path. */
  readonly #nodes = new Map<string, Omit<Found, 'level'> | undefined>();
  readonly #opaque = new Map<string, boolean>();

  /** @param levels bottom first */
  constructor(levels: readonly Level[]) {
    this.#levels = levels;
  }

  get count(): number {
    return this.#levels.length;
  }

  /** What a path is where `top` is the topmost level. */
  find(path: string, top = this.#levels.length - 1): Found | undefined {
    // The directories that are merged, topmost first.
    let levels: number[] = [];
    for (let level = top; level >= 0; level -= 1) {
      levels.push(level);
      if (this.#levels[level]!.whole) break;
    }
    let walked = '';
    let found = this.#pick(walked, levels);
    for (const name of path.split('/').filter(Boolean)) {
      if (found === undefined || !found.stats.isDirectory()) return undefined;
      levels = found.levels;
      walked = `${walked}/${name}`;
      found = this.#pick(walked, levels);
    }
    return found && { stats: found.stats, level: found.levels[0]!, file: found.file };
  }

  /** @param levels where its directory is, topmost first */
  #pick(path: string, levels: readonly number[]): (Omit<Found, 'level'> & { levels: number[] }) | undefined {
    let found: Omit<Found, 'level'> | undefined;
    const merged: number[] = [];
    for (const level of levels) {
      const node = this.#node(level, path);
      if (node === undefined) continue;
      if (isWhiteoutNode(node.stats)) break;
      if (found !== undefined && !node.stats.isDirectory()) break;
      found ??= node;
      merged.push(level);
      if (!node.stats.isDirectory() || this.#isOpaque(level, path, node.file)) break;
    }
    return found && { ...found, levels: merged };
  }

  #node(level: number, path: string): Omit<Found, 'level'> | undefined {
    const key = `${level}${path}`;
    if (this.#nodes.has(key)) return this.#nodes.get(key);
    const file = Buffer.concat([Buffer.from(this.#levels[level]!.directory), Buffer.from(path, 'latin1')]);
    const stats = tryLstat(file);
    const node = stats && { stats, file };
    this.#nodes.set(key, node);
    return node;
  }

  #isOpaque(level: number, path: string, file: Buffer): boolean {
    if (this.#levels[level]!.whole) return true;
    const key = `${level}${path}`;
    const known = this.#opaque.get(key);
    if (known !== undefined) return known;
    const opaque = readXattr(file, 'trusted.overlay.opaque')?.toString() === 'y';
    this.#opaque.set(key, opaque);
    return opaque;
  }
}

function tryLstat(file: Buffer): BigIntStats | undefined {
  try {
    return lstatSync(file, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    // Nothing can have such a name.
    if (errnoOf(error) === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}
