import { join } from 'node:path';
import { applyTopLayer } from '../top-layer/hook-shell.ts';
import { ContainerPaths } from './paths.ts';
import { readContainer } from './record.ts';
import { openRootfs } from './writable-layer.ts';

/** A top layer for a container that is being made, as plain data. */
export interface TopLayerJob {
  /** The container's directory. */
  container: string;
  /** The store's `layers` directory. */
  layers: string;
  topLayer: string;
}

/** @returns the layer's digest. @throws IMGBOOT_TOP_LAYER */
export async function runJob({ container, layers, topLayer }: TopLayerJob): Promise<string> {
  process.umask(0o022);
  const paths = new ContainerPaths(container);
  openRootfs(readContainer(paths)!, { layers, places: () => [] });
  const work = join(container, 'top-layer-work');
  return await applyTopLayer(topLayer, { work, root: paths.rootfs });
}
