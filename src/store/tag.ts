import type { OperationOptions } from '../system/progress.ts';
import type { Store } from './store.ts';

/** Gives an image a further name; an image that had it stays, without it. Atomic. */
export async function tagImage(
  store: Store,
  request: OperationOptions & { image: string; name: string },
): Promise<void> {
  await using _workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  await store.name(store.image(request.image).descriptor, request.name);
}
