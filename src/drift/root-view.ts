import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { mountOverlay } from '../store/overlay-mount.ts';
import type { DriverName } from '../store/driver.ts';
import type { LayerName } from '../store/paths.ts';
import { MS_BIND, mount } from '../system/libc.ts';
import type { KeptRoot } from './kept-root.ts';

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
  /** An empty directory. */
  mountPoint: string;
}

/** Directories that show a root, all read-only by use. */
export interface OpenedRoot {
  /** What has all of them: to be entered with chroot(2). */
  place: string;
  /** What it was made of: image and top layer. */
  below: string;
  /** What was changed of it, or all of it. */
  changed: string;
  whole: boolean;
  renumbered: boolean;
  /** All of it. */
  merged: string;
  /** The image alone. */
  image: string;
}

/** Mounts what shows a root; only in a mount namespace of its own, which also undoes it. */
export function openRoot(view: RootView): OpenedRoot {
  const place = view.mountPoint;
  const names = ['below', 'changed', 'merged', 'image'] as const;
  const [below, changed, merged, image] = names.map((name) => join(place, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const directory of [below, changed, merged, image]) mkdirSync(directory);
  const layers = view.chain.map((name) => join(view.layers, name));
  const imageLayers = view.driver === 'btrfs' ? layers.slice(0, 1) : layers;
  const show = (lower: readonly string[], target: string): void => showLayers(view.layers, lower, target);
  show(imageLayers, image);
  const top = topOf(view);
  const opened = { place, below, changed, merged, image };
  if (view.driver === 'btrfs' && view.layer !== 'ram') {
    bind(top ?? image, below);
    bind(view.directory, changed);
    return { ...opened, whole: true, renumbered: false, merged: changed };
  }
  const topLayers = top === undefined ? [] : [top];
  show([...topLayers, ...imageLayers], below);
  if (view.layer === 'ram') {
    bind('/', changed);
    return { ...opened, whole: true, renumbered: true, merged: changed };
  }
  const upper = join(view.directory, 'upper');
  // A persistent layer has its top layer in it: what is below has that in another place.
  const isWhole = view.layer === 'persistent' && top !== undefined;
  show([upper, ...(isWhole ? [] : topLayers), ...imageLayers], merged);
  bind(isWhole ? merged : upper, changed);
  return { ...opened, whole: isWhole, renumbered: false };
}

function topOf({ topLayer }: RootView): string | undefined {
  return typeof topLayer === 'object' ? topLayer.directory : undefined;
}

function showLayers(layers: string, lower: readonly string[], target: string): void {
  // A single lower directory cannot be mounted, and needs no merging.
  if (lower.length === 1) bind(lower[0]!, target);
  else mountOverlay(realpathSync(layers), { target, lower: lower.map((path) => realpathSync(path)) });
}

function bind(source: string, target: string): void {
  mount({ source, target, flags: MS_BIND });
}
