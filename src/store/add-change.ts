import { existsSync } from 'node:fs';
import { nextChainId } from '../image/chain-id.ts';
import type { Digest } from '../image/digest.ts';
import { LAYER_TYPE, type Config, type HistoryEntry } from '../image/manifest.ts';
import { adoptBlob, writeManifest } from './add-image.ts';
import type { MadeLayer } from './change-layer.ts';
import type { Image } from './image.ts';
import { layerName } from './paths.ts';
import type { Store } from './store.ts';
import { publishLayer } from './unpack.ts';
import type { Workspace } from './workspace.ts';

export interface ChangedImage {
  /** The image that was changed. */
  base: Image;
  /** The new config, but for its layers and history. */
  config: Config;
  /** How the layer came about. */
  history: HistoryEntry;
  /** The layer with its tar and its unpacked form in `layers`; undefined where nothing was changed. */
  layer: { made: MadeLayer; tar: string; newName: string } | undefined;
  workspace: Workspace;
  /** The new image's name; none where undefined. */
  reference: string | undefined;
}

/**
 * Adds an image that is another with a layer more. Atomic. The caller holds the content lock shared.
 * @returns the image's ID
 */
export async function addChangedImage(store: Store, image: ChangedImage): Promise<Digest> {
  const { base, layer } = image;
  const added = layer === undefined ? [] : [publish(store, { ...image, layer })];
  const diffIds = layer === undefined ? [] : [layer.made.diffId];
  const history = { ...image.history, ...(layer === undefined ? { empty_layer: true } : {}) };
  const manifest = writeManifest(store.paths, {
    config: {
      ...image.config,
      rootfs: { type: 'layers', diff_ids: [...base.config.rootfs.diff_ids, ...diffIds] },
      history: [...(base.config.history ?? []), history],
    },
    layers: [...base.manifest.layers, ...added],
    workspace: image.workspace,
  });
  if (image.reference === undefined) await store.keep(manifest);
  else await store.name(manifest, image.reference);
  return store.images().find(({ descriptor }) => descriptor.digest === manifest.digest)!.id;
}

function publish(
  store: Store,
  { base, layer }: { base: Image; layer: NonNullable<ChangedImage['layer']> },
): Image['manifest']['layers'][number] {
  const parent = base.layers.at(-1)?.chainId;
  const { diffId, sizeBytes } = layer.made;
  const chainId = nextChainId(parent, diffId);
  // A plain tar's digest is its DiffID.
  const digest = diffId as string as Digest;
  adoptBlob(store.paths, { path: layer.tar, digest });
  if (!existsSync(store.paths.layer(layerName(chainId)))) {
    publishLayer(store, {
      newName: layer.newName,
      name: layerName(chainId),
      record: { chainId, diffId, parent: parent ?? null },
    });
  }
  return { mediaType: LAYER_TYPE, digest, size: sizeBytes };
}
