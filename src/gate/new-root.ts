import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { copyRootMetadata, mountOverlay } from '../store/overlay-mount.ts';
import type { LayerName } from '../store/paths.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { FilesInRoot } from '../system/files-in-root.ts';
import { MS_BIND, mount } from '../system/libc.ts';
import { PrivateSpace } from '../system/private-space.ts';
import { applyTopLayer } from '../top-layer/hook-shell.ts';

export interface NewRootRequest {
  /** The store's `layers`, and the image's names in it, topmost first. */
  layers: string;
  chain: readonly LayerName[];
  topLayer: string | undefined;
  /** Persistent directories: their paths in the root, and what they hold. */
  persist: readonly { path: string; source: string }[];
  /** An empty directory in the store. */
  scratch: string;
}

/**
 * The root file system that a boot makes of an image, a top layer and persistent directories, by the code that the boot
 * has for it. Mounts: runs only in a mount namespace of its own. Dispose what it returns.
 */
export async function openNewRoot(request: NewRootRequest): Promise<FilesInRoot> {
  const { layers, chain, scratch } = request;
  const [root, upper, work] = ['root', 'upper', 'work'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [root, upper, work]) mkdirSync(directory);
  copyRootMetadata(join(layers, chain[0]!), upper);
  mountOverlay(layers, { target: root, lower: chain, writable: { upper, work } });
  if (request.topLayer !== undefined) {
    using space = new PrivateSpace(join(scratch, 'tools'));
    await applyTopLayer(request.topLayer, { work: space.path, root });
  }
  for (const { path, source } of request.persist.toSorted((a, b) => a.path.length - b.path.length)) {
    const place = `${root}${canonicalPath(root, path)}`;
    mkdirSync(place, { recursive: true });
    mount({ source, target: place, flags: MS_BIND });
  }
  return FilesInRoot.open(root);
}
