import { readlinkSync } from 'node:fs';
import { entryTypeOf } from '../layer/changes.ts';
import type { EntryType } from '../layer/tar-entry.ts';
import type { InstalledPackage } from '../packages/package.ts';
import { ownersOf } from '../packages/read-packages.ts';
import { mountOverlay } from '../store/overlay-mount.ts';
import { RootedTree } from '../system/rooted.ts';
import { Levels, type Found, type Level } from './levels.ts';
import { changesOfPath, type LevelChange } from './path-changes.ts';
import { followPath, type Trail } from './trail.ts';

/** Questions for the levels of a root file system, as plain data. Paths are byte strings. */
export interface WhyJob {
  paths: string[];
  /** Bottom first. */
  levels: Level[];
  persist: { path: string; directory: string }[];
  /** The directory that shows the whole root file system, or what has to be mounted for that. */
  root: string | { layers: string; lower: string[]; mountPoint: string };
}

/** What is known of one path on the way. */
export interface StopFacts {
  path: string;
  there: FileFacts | undefined;
  /** The latest first. */
  changes: LevelChange[];
  /** Index of the persistent directory that it is in. */
  persist: number | undefined;
  packages: InstalledPackage[];
}

export interface FileFacts {
  /** Undefined for a socket. */
  type: EntryType | undefined;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** Of a link, as a byte string. */
  target: string | undefined;
  changedNs: bigint;
}

export interface WhyFacts {
  /** In the order of the paths. */
  trails: { through: Trail['through']; stops: StopFacts[] }[];
  /** Why the packages of some package manager could not be read. */
  unread: string[];
}

/** Needs a mount namespace of its own where the root has to be mounted. */
export async function runJob(job: WhyJob): Promise<WhyFacts> {
  const levels = new Levels(job.levels);
  const places = job.persist.map(({ path, directory }) => ({
    // As the initramfs does, links are read as the new root reads them.
    path: followPath(path, (inside) => levels.find(inside)).stops.at(-1)!,
    levels: new Levels([{ directory, whole: true }]),
  }));
  const placeOf = (path: string): number | undefined => {
    const inside = places.flatMap((place, index) =>
      path === place.path || path.startsWith(`${place.path}/`) ? index : [],
    );
    return inside.toSorted((a, b) => places[b]!.path.length - places[a]!.path.length)[0];
  };
  const find = (path: string): Found | undefined => {
    const place = placeOf(path);
    if (place === undefined) return levels.find(path);
    return places[place]!.levels.find(path.slice(places[place]!.path.length));
  };
  const trails = job.paths.map((path) => followPath(path, find));
  const tree = new RootedTree(openRoot(job.root));
  const { answer: owners, unread } = await ownersOf(tree, [...new Set(trails.flatMap(({ stops }) => stops))]);
  const factsOf = (path: string): StopFacts => {
    const [found, persist] = [find(path), placeOf(path)];
    return {
      path: path === '' ? '/' : path,
      there: found && fileFacts(found),
      changes: persist === undefined ? changesOfPath(levels, path) : [],
      persist,
      packages: owners.get(path)!,
    };
  };
  return {
    trails: trails.map(({ through, stops }) => ({ through, stops: stops.map(factsOf) })),
    unread: unread.map(({ message }) => message),
  };
}

function openRoot(root: WhyJob['root']): string {
  if (typeof root === 'string') return root;
  mountOverlay(root.layers, { target: root.mountPoint, lower: root.lower });
  return root.mountPoint;
}

function fileFacts({ stats, file }: Found): FileFacts {
  const type = entryTypeOf(stats);
  return {
    type,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    sizeBytes: Number(stats.size),
    target: type === 'symlink' ? readlinkSync(file, 'latin1') : undefined,
    changedNs: stats.ctimeNs,
  };
}
