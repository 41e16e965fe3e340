import { lstatSync, readdirSync, type BigIntStats } from 'node:fs';
import type { Difference } from '../layer/differences.ts';
import { aspectsThatDiffer, isUntouched } from './aspects.ts';
import { entryTypeOf, isWhiteoutNode } from '../layer/changes.ts';
import type { EntryType } from '../layer/tar-entry.ts';
import { readXattr } from '../system/libc.ts';

/** A path at which two root file systems differ. */
export interface FileChange {
  kind: 'added' | 'removed' | 'changed';
  /** Absolute, as a byte string. */
  path: string;
  /** Of the second, or of what was removed; undefined for a socket. */
  type: EntryType | undefined;
  /** Of what was changed. */
  aspects: Difference[];
  /** In the first and in the second; 0 for all but files. */
  sizeBytes: [number, number];
}

/** What lies at a path of one of the trees: a file, or the directories that are merged there, topmost first. */
interface Node {
  stats: BigIntStats;
  /** Where they lie; one, if it is no directory. */
  places: string[];
  isDirectory: boolean;
}

/**
 * In what two root file systems differ, in byte order of the paths. What both have from the same places is not looked
 * at: of images that share layers, an overlay's cost what differs.
 */
export class TreeComparison {
  readonly #changes: FileChange[] = [];
  /** The directories of their levels, topmost first, as byte strings. */
  readonly #trees: readonly string[][];
  readonly #directories = new Map<string, boolean>();

  #hasChangedLinks = false;

  /** @param before the directories of its levels, topmost first */
  constructor(before: readonly string[], after: readonly string[]) {
    this.#trees = [before, after].map((places) =>
      places.map((place) => Buffer.from(place).toString('latin1')),
    );
  }

  /** What has been found so far. */
  get changes(): readonly FileChange[] {
    return this.#changes;
  }

  /** Whether a file was changed that is the same one in both, and has other names, which may lie anywhere. */
  get hasChangedLinks(): boolean {
    return this.#hasChangedLinks;
  }

  /** All of it. */
  whole(): readonly FileChange[] {
    const [before, after] = this.#trees.map((places) => nodeAt(places));
    this.#compare('', before, after);
    return this.#changes;
  }

  /**
   * What is at a path alone, and all below it where only one has it, or with `deep`. For trees of one level each.
   * @returns whether all below it has been looked at
   */
  at(path: string, deep: boolean): boolean {
    const [before, after] = this.#trees.map(([place]) => this.#find(place!, path));
    if (!deep && before?.isDirectory === true && after?.isDirectory === true) {
      this.#same(path, before, after);
      return false;
    }
    this.#compare(path, before, after);
    return true;
  }

  /** Through no link: what lies below one is not there. */
  #find(place: string, path: string): Node | undefined {
    for (let slash = path.indexOf('/', 1); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const above = `${place}${path.slice(0, slash)}`;
      if (!this.#directories.has(above)) this.#directories.set(above, nodeAt([above])?.isDirectory === true);
      if (this.#directories.get(above) !== true) return undefined;
    }
    return nodeAt([`${place}${path}`]);
  }

  #compare(path: string, before: Node | undefined, after: Node | undefined): void {
    if (before === undefined && after === undefined) return;
    if (before === undefined || after === undefined) this.#only(path, before, after);
    else if (before.places.join('\0') === after.places.join('\0')) return;
    else if (before.isDirectory !== after.isDirectory) {
      this.#only(path, before, undefined);
      this.#only(path, undefined, after);
    } else {
      this.#same(path, before, after);
      if (before.isDirectory) this.#below(path, before.places, after.places);
    }
  }

  #same(path: string, before: Node, after: Node): void {
    if (isUntouched(before.stats, after.stats)) return;
    const [a, b] = [before, after].map(({ stats, places }) => ({
      stats,
      file: Buffer.from(places[0]!, 'latin1'),
    }));
    const aspects = aspectsThatDiffer(a!, b!);
    if (aspects.length === 0) return;
    if (!before.isDirectory && before.stats.ino === after.stats.ino && after.stats.nlink > 1n)
      this.#hasChangedLinks = true;
    const sizeBytes: [number, number] = [sizeOf(before.stats), sizeOf(after.stats)];
    this.#changes.push({ kind: 'changed', path, type: entryTypeOf(after.stats), aspects, sizeBytes });
  }

  #only(path: string, before: Node | undefined, after: Node | undefined): void {
    const { stats, places, isDirectory } = (before ?? after)!;
    const kind = before === undefined ? 'added' : 'removed';
    const size = sizeOf(stats);
    const sizeBytes: [number, number] = before === undefined ? [0, size] : [size, 0];
    this.#changes.push({ kind, path, type: entryTypeOf(stats), aspects: [], sizeBytes });
    if (!isDirectory) return;
    if (before === undefined) this.#below(path, [], places);
    else this.#below(path, places, []);
  }

  /** The names of which one has something that the other has not. */
  #below(path: string, before: readonly string[], after: readonly string[]): void {
    const shared = sharedTail(before, after);
    const own = [...before.slice(0, before.length - shared), ...after.slice(0, after.length - shared)];
    const names = new Set(own.flatMap((place) => readdirSync(Buffer.from(place, 'latin1'), 'latin1')));
    for (const name of [...names].sort()) {
      const [a, b] = [before, after].map((places) => nodeAt(places.map((place) => `${place}/${name}`)));
      this.#compare(`${path}/${name}`, a, b);
    }
  }
}

/** @param places topmost first, as byte strings */
function nodeAt(places: readonly string[]): Node | undefined {
  let stats: BigIntStats | undefined;
  const merged: string[] = [];
  for (const [index, place] of places.entries()) {
    const file = Buffer.from(place, 'latin1');
    const found = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) continue;
    if (isWhiteoutNode(found) || (stats !== undefined && !found.isDirectory())) break;
    stats ??= found;
    merged.push(place);
    if (!found.isDirectory()) break;
    if (index < places.length - 1 && readXattr(file, 'trusted.overlay.opaque')?.toString() === 'y') break;
  }
  return stats && { stats, places: merged, isDirectory: stats.isDirectory() };
}

/** How many of the lowest directories are the same. */
function sharedTail(a: readonly string[], b: readonly string[]): number {
  let count = 0;
  while (count < Math.min(a.length, b.length) && a.at(-1 - count) === b.at(-1 - count)) count += 1;
  return count;
}

function sizeOf(stats: BigIntStats): number {
  return stats.isFile() ? Number(stats.size) : 0;
}
