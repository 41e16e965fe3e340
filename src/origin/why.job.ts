import { readlinkSync } from 'node:fs';
import { entryTypeOf } from '../layer/changes.ts';
import type { EntryType } from '../layer/tar-entry.ts';
import type { InstalledPackage } from '../packages/package.ts';
import { ownersOf } from '../packages/read-packages.ts';
import { errnoOf } from '../errors.ts';
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
  places: JobPlace[];
  /** The directory that shows the whole root file system, or what has to be mounted for that. */
  root: string | { layers: string; lower: string[]; mountPoint: string };
}

/** A directory of the root that lies elsewhere. */
export interface JobPlace {
  path: string;
  /** Where it lies; undefined for one that is not looked into. */
  directory: string | undefined;
  /** The path is as somebody wrote it, with links in it; else it is a real one. */
  hasLinks: boolean;
}

/** What is known of one path on the way. */
export interface StopFacts {
  path: string;
  there: FileFacts | undefined;
  /** The latest first. */
  changes: LevelChange[];
  /** Index of the place that it is in. */
  place: number | undefined;
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

/** How often a running system is looked at anew that takes files away meanwhile. */
const TRIES = 5;

/** Needs a mount namespace of its own where the root has to be mounted. */
export async function runJob(job: WhyJob): Promise<WhyFacts> {
  const root = openRoot(job.root);
  for (let tries = 1; ; tries += 1) {
    try {
      return await look(job, root);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || tries === TRIES) throw error;
    }
  }
}

async function look(job: WhyJob, root: string): Promise<WhyFacts> {
  const levels = new Levels(job.levels);
  const places = job.places.map(({ path, directory, hasLinks }) => ({
    // As the initramfs does, links are read as the new root reads them.
    path: hasLinks ? followPath(path, (inside) => levels.find(inside)).stops.at(-1)! : path,
    levels: new Levels(directory === undefined ? [] : [{ directory, whole: true }]),
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
  const tree = new RootedTree(root);
  const { answer: owners, unread } = await ownersOf(tree, [...new Set(trails.flatMap(({ stops }) => stops))]);
  const factsOf = (path: string): StopFacts => {
    const [found, place] = [find(path), placeOf(path)];
    return {
      path: path === '' ? '/' : path,
      there: found && fileFacts(found),
      changes: place === undefined ? changesOfPath(levels, path) : [],
      place,
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
