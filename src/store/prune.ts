import { REF_NAME } from '../image/manifest.ts';
import type { OperationOptions } from '../system/progress.ts';
import { findGarbage, removeGarbage, type Garbage } from './collect.ts';
import { readIndex } from './index-file.ts';
import type { Store } from './store.ts';

export interface Pruned extends Garbage {
  /** Digests of manifests that had lost their names. */
  images: string[];
}

/** Removes images without a name, and what nothing refers to. With `dryRun` it only says what would go. */
export async function prune(
  store: Store,
  { dryRun, ...options }: OperationOptions & { dryRun: boolean },
): Promise<Pruned> {
  const nameless = readIndex(store.paths).manifests.filter(
    (descriptor) => descriptor.annotations?.[REF_NAME] === undefined,
  );
  const images = nameless.map((descriptor) => descriptor.digest as string);
  if (dryRun) return { images, ...findGarbage(store) };
  await using _workspace = await store.workspace();
  await store.forget((descriptor) => descriptor.annotations?.[REF_NAME] === undefined);
  return { images, ...(await collect(store, options)) };
}

/** Deletes what nothing refers to, once nobody else works with the store's content. */
export async function collect(store: Store, options: OperationOptions): Promise<Garbage> {
  using _content = await store.lockContent('exclusive', options);
  const garbage = findGarbage(store);
  removeGarbage(store, garbage);
  return garbage;
}
