import { digestOf } from '../image/digest.ts';
import { applyLayer } from '../layer/apply-layer.ts';
import { BlobFeed } from '../layer/feed.ts';
import type { Store } from '../store/store.ts';
import type { LayerFactory } from './layer-factory.ts';
import type { StageState } from './stage-state.ts';

/** Makes one layer of all that a build has added to its base image. The layers must be published. */
export async function squash(
  state: StageState,
  { factory, store }: { factory: LayerFactory; store: Store },
): Promise<void> {
  const added = state.layers.splice(state.baseLayers);
  if (added.length === 0) return;
  const identity = added.map((layer) => layer.diffId);
  const key = digestOf(JSON.stringify(['squash', state.layers.at(-1)?.chainId ?? null, identity]));
  const change = async (view: { root: string }): Promise<void> => {
    await using feed = await BlobFeed.start();
    for (const { descriptor, diffId } of added) {
      const source = {
        path: store.paths.blob(descriptor.digest),
        expected: { digest: descriptor.digest, diffId },
      };
      await applyLayer(source, { root: view.root, feed });
    }
  };
  const made =
    factory.find(state, key, true) ??
    (await factory.make(state, key, { identity, mountPoints: () => [], change }));
  factory.publish();
  if (made.layer !== undefined) state.layers.push(made.layer);
  const history = state.config.history ?? [];
  // The one layer belongs to the last entry.
  for (const [index, entry] of history.entries()) {
    if (index < state.baseHistory) continue;
    if (index === history.length - 1 && made.layer !== undefined) delete entry.empty_layer;
    else entry.empty_layer = true;
  }
}
