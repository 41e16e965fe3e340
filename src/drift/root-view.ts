import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { mountOverlay } from '../store/overlay-mount.ts';
import type { DriverName } from '../store/driver.ts';
import type { LayerName } from '../store/paths.ts';
import { changedDirectories } from '../system/btrfs-changes.ts';
import { MS_BIND, MS_RDONLY, MS_REMOUNT, mount } from '../system/libc.ts';
import type { KeptRoot } from './kept-root.ts';

/** Changed files of which to ask the file system takes longer than to look at all. */
const MANY = 20_000;

/** What a job needs to see a root and what it was made of; plain data. */
export interface RootView {
  driver: DriverName;
  layers: string;
  /** Topmost first. */
  chain: LayerName[];
  topLayer: KeptRoot['topLayer'];
  directory: string;
  layer: string;
  made: string[];
  /** Of a subvolume that is a snapshot of what it was made of: the generation in which it became one. */
  since: bigint | undefined;
  /** An empty directory. */
  mountPoint: string;
}

/** Directories that show a root, all read-only. */
export interface OpenedRoot {
  /** What has all of them: to be entered with chroot(2). */
  place: string;
  /** What it was made of: image and top layer. */
  below: string;
  /** All of it, or with `whole` false what was changed of it. */
  changed: string;
  whole: boolean;
  /** Of a whole one, the directories that need to be looked into, where the file system tells. */
  touched: ReadonlySet<number> | undefined;
  /** Of one that is not whole, and has its top layer in it: the top layer. */
  given: string | undefined;
  /** All of it. */
  merged: string;
  /** The image alone. */
  image: string;
}

/** Mounts what shows a root; only in a mount namespace of its own, which also undoes it. */
export function openRoot(view: RootView): OpenedRoot {
  const at = (name: string): string => join(view.mountPoint, name);
  const places = { below: at('below'), changed: at('changed'), merged: at('merged'), image: at('image') };
  for (const directory of Object.values(places)) mkdirSync(directory);
  const opened = { ...places, place: view.mountPoint, given: undefined, touched: undefined };
  const layers = view.chain.map((name) => join(view.layers, name));
  const image = view.driver === 'btrfs' ? layers.slice(0, 1) : layers;
  show(view, image, opened.image);
  const top = typeof view.topLayer === 'object' ? [view.topLayer.directory] : [];
  if (view.driver === 'btrfs' && view.layer !== 'ram') {
    const source = top[0] ?? image[0]!;
    bind(source, opened.below);
    bind(view.directory, opened.changed);
    return { ...opened, whole: true, touched: touchedIn(view, source), merged: opened.changed };
  }
  // In RAM, what was written has a name of its own.
  const upper = view.layer === 'ram' ? view.directory : join(view.directory, 'upper');
  show(view, [...top, ...image], opened.below);
  bind(upper, opened.changed);
  if (view.layer !== 'persistent' || top[0] === undefined) {
    show(view, [upper, ...top, ...image], opened.merged);
    return { ...opened, whole: false };
  }
  // A persistent layer has its top layer in it: what is below has that in another place.
  show(view, [upper, ...image], opened.merged);
  bind(top[0], mkdir(at('given')));
  return { ...opened, whole: false, given: at('given') };
}

/** Undefined where all has to be looked at. */
function touchedIn({ directory, since }: RootView, source: string): ReadonlySet<number> | undefined {
  return since === undefined ? undefined : changedDirectories(directory, { source, since, limit: MANY });
}

function show({ layers }: RootView, lower: readonly string[], target: string): void {
  // A single lower directory cannot be mounted, and needs no merging.
  if (lower.length === 1) bind(lower[0]!, target);
  else mountOverlay(realpathSync(layers), { target, lower: lower.map((path) => realpathSync(path)) });
}

function mkdir(path: string): string {
  mkdirSync(path);
  return path;
}

/** Read-only, so that not even the time of reading is written. */
function bind(source: string, target: string): void {
  mount({ source, target, flags: MS_BIND });
  mount({ source: 'none', target, flags: MS_BIND | MS_REMOUNT | MS_RDONLY });
}
