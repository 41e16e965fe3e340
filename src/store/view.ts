import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DriverName } from './driver.ts';
import { createDriver } from './drivers.ts';
import type { Image } from './image.ts';
import type { LayerName } from './paths.ts';
import type { Store } from './store.ts';
import type { Workspace } from './workspace.ts';

/** What a job needs to see an image's root file system; plain data. */
export interface ImageView {
  driver: DriverName;
  layers: string;
  /** Topmost first. */
  chain: LayerName[];
  mountPoint: string;
}

export function viewOf(store: Store, image: Image, workspace: Workspace): ImageView {
  const mountPoint = join(workspace.path, 'view');
  mkdirSync(mountPoint);
  return {
    driver: store.driver.name,
    layers: store.paths.layers,
    chain: image.layers.map((layer) => layer.name).toReversed(),
    mountPoint,
  };
}

/** Whether {@link openView} has to mount, and so needs a mount namespace of its own. */
export function viewNeedsMount(view: ImageView): boolean {
  return view.driver === 'overlay' && view.chain.length > 1;
}

/**
 * The directory that shows the image's root file system, read-only by use. Mounts where the driver has to, so it runs
 * only in a mount namespace of its own, which also undoes it.
 */
export function openView(view: ImageView): string {
  return createDriver(view.driver).view(view.layers, view.chain, view.mountPoint);
}
