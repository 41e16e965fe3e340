import { existsSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AppliedLayer, LayerSource } from '../layer/apply-layer.ts';
import { syncDirectory, syncTree } from '../system/durable.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import { FileLock } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { ImageLayer } from './image.ts';
import type { Store } from './store.ts';
import type { UnpackJob } from './unpack.job.ts';
import type { Workspace } from './workspace.ts';
import type { ChainId, DiffId, Digest } from '../image/digest.ts';
import type { LayerName } from './paths.ts';

/** What is kept beside a layer, to know it again. */
export interface LayerRecord {
  chainId: ChainId;
  diffId: DiffId;
  /** Of the layer below; null for a bottom layer. */
  parent: ChainId | null;
  /** Of its subvolume, where it is one. */
  uuid: string | null;
  /** Its files are another engine's own: nobody here has seen its tar make them. */
  borrowed?: true;
}

/**
 * Unpacks those of an image's layers that the store does not have. Each is verified against its digest and DiffID
 * while it flows. Safe side by side. The caller holds the content lock, and publishes what it gets.
 * `blobPath` says where a blob lies; in the store when undefined.
 */
export async function unpackLayers(
  store: Store,
  layers: readonly ImageLayer[],
  {
    workspace,
    blobPath = (digest) => store.paths.blob(digest),
    ...options
  }: OperationOptions & {
    workspace: Workspace;
    blobPath?: (digest: Digest) => string;
  },
): Promise<UnpackedLayer[]> {
  const source = ({ descriptor: { digest }, diffId }: ImageLayer): LayerSource => ({
    path: blobPath(digest),
    expected: { digest, diffId },
  });
  const present = layers.findIndex((layer) => !isUnpacked(store, layer));
  const firstMissing = present < 0 ? layers.length : present;
  const missing = layers.slice(firstMissing);
  const steps = missing.map((layer, index) => ({
    newName: workspace.newLayerName(index),
    source: source(layer),
  }));
  const known = unproved(store, layers.slice(0, firstMissing)).map(source);
  if (steps.length === 0 && known.length === 0) return [];
  await runUnpack(store, { workspace, parents: layers.slice(0, firstMissing), steps, known, ...options });
  return missing.map((layer, index) => ({
    newName: steps[index]!.newName,
    name: layer.name,
    record: {
      chainId: layer.chainId,
      diffId: layer.diffId,
      parent: layers[firstMissing + index - 1]?.chainId ?? null,
    },
  }));
}

/** Unpacks blobs onto layers that are there, each at its `newName`; publishes nothing. */
export async function runUnpack(
  store: Store,
  request: OperationOptions & {
    workspace: Workspace;
    parents: readonly ImageLayer[];
    steps: UnpackJob['steps'];
    known?: UnpackJob['known'];
  },
): Promise<AppliedLayer[]> {
  const job: UnpackJob = {
    driver: store.driver.name,
    layers: store.paths.layers,
    scratch: request.workspace.path,
    parents: request.parents.map((layer) => layer.name).toReversed(),
    steps: request.steps,
    known: request.known ?? [],
  };
  return runIsolated<UnpackJob, AppliedLayer[]>(jobModule(import.meta.url, 'unpack.job'), job, request);
}

/** A sealed layer that has no name yet. */
export interface UnpackedLayer {
  newName: string;
  name: LayerName;
  record: Omit<LayerRecord, 'uuid'>;
}

/**
 * Makes everything on the store's file system durable, then gives sealed layers, bottom first, their names. Drops
 * those for which somebody else was faster.
 */
export function publishLayers(store: Store, layers: readonly UnpackedLayer[]): void {
  const { paths, driver } = store;
  for (const { newName, record } of layers) {
    const complete: LayerRecord = { ...record, uuid: driver.identify(join(paths.layers, newName)) ?? null };
    writeFileSync(join(paths.layers, `${newName}.json`), `${JSON.stringify(complete)}\n`, { mode: 0o600 });
  }
  syncTree(paths.layers);
  if (layers.length === 0) return;
  // The record speaks of the very subvolume that lies beside it: they get their names together.
  using _publishing = FileLock.acquireSync(join(paths.locks, 'layers'), 'exclusive');
  for (const { newName, name } of layers) {
    const from = join(paths.layers, newName);
    if (existsSync(paths.layer(name))) {
      unlinkSync(`${from}.json`);
      driver.remove(from);
    } else {
      renameSync(`${from}.json`, paths.layerRecord(name));
      renameSync(from, paths.layer(name));
    }
  }
  syncDirectory(paths.layers);
}

/** {@link publishLayers} of one. */
export function publishLayer(store: Store, layer: UnpackedLayer): void {
  publishLayers(store, [layer]);
}

/**
 * Those of the layers whose blob nobody has seen to make their content: an image may claim the DiffID of a layer that
 * is there for a blob that holds something else.
 */
function unproved(store: Store, layers: readonly ImageLayer[]): ImageLayer[] {
  const pair = ({ descriptor, diffId }: ImageLayer): string => `${descriptor.digest} ${diffId}`;
  const candidates = layers.filter(({ descriptor, diffId }) => (descriptor.digest as string) !== diffId);
  if (candidates.length === 0) return [];
  const proved = new Set(store.images().flatMap((image) => image.layers.map(pair)));
  return candidates.filter((layer) => !proved.has(pair(layer)));
}

function isUnpacked(store: Store, layer: ImageLayer): boolean {
  return existsSync(store.paths.layer(layer.name));
}
