import { REF_NAME, type Descriptor } from '../image/manifest.ts';
import type { OperationOptions } from '../system/progress.ts';
import { BuildCache } from './build-cache.ts';
import { findGarbage, removeGarbage, type Garbage } from './collect.ts';
import { deployedVersions } from './deployed.ts';
import { UnreadableImage, tryReadImage } from './image.ts';
import { readIndex } from './index-file.ts';
import type { Store } from './store.ts';

export interface Pruned extends Garbage {
  /** Digests of manifests that had lost their names. */
  images: string[];
  /** Steps that the build cache remembered, and the directories of `RUN --mount=type=cache`. */
  cachedSteps: number;
  cacheMounts: number;
}

/**
 * Removes images without a name that are not deployed, the build cache, and what nothing refers to. With `dryRun` it only says what would
 * go.
 */
export async function prune(
  store: Store,
  { dryRun, ...options }: OperationOptions & { dryRun: boolean },
): Promise<Pruned> {
  const deployed = new Set(deployedVersions(store.paths).map(({ image }) => image));
  const isUnused = (descriptor: Descriptor): boolean => {
    if (descriptor.annotations?.[REF_NAME] !== undefined) return false;
    const image = tryReadImage(store.paths, descriptor);
    return image instanceof UnreadableImage || !deployed.has(image.id);
  };
  const nameless = readIndex(store.paths).manifests.filter(isUnused);
  const images = nameless.map((descriptor) => descriptor.digest as string);
  const cache = new BuildCache(store.paths);
  if (dryRun) return { images, ...cache.size(), ...findGarbage(store, { keepsCache: false }) };
  await using _workspace = await store.workspace();
  await store.forget(isUnused);
  // No build is under way while the content is ours alone.
  using _content = await store.lockContent('exclusive', options);
  const size = cache.size();
  cache.clear();
  const garbage = findGarbage(store);
  removeGarbage(store, garbage);
  return { images, ...size, ...garbage };
}

/** Deletes what nothing refers to, once nobody else works with the store's content. */
export async function collect(store: Store, options: OperationOptions): Promise<Garbage> {
  using _content = await store.lockContent('exclusive', options);
  const garbage = findGarbage(store);
  removeGarbage(store, garbage);
  return garbage;
}
