import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mkdtempSync, mkdirSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import type { ChainId, DiffId, Digest } from '../image/digest.ts';
import { LAYER_TYPE, parseIndex, type Descriptor } from '../image/manifest.ts';
import { copyImage, type ImageName } from '../image/transport.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { adoptBlob, writeManifest } from './add-image.ts';
import { readBlob, readImage, type Image } from './image.ts';
import { StorePaths, layerName } from './paths.ts';
import type { ShareJob } from './share.job.ts';
import type { Store } from './store.ts';
import { publishLayers } from './unpack.ts';
import type { Workspace } from './workspace.ts';

/**
 * A borrowed layer: its files are here, shared with another engine's store, and its blob is nowhere yet. This
 * annotation of its descriptor says where skopeo gets it, and its digest is its DiffID's, of the plain tar.
 */
const SOURCE = 'imgboot.layer.source';

/** Where the blob of a borrowed layer comes from; undefined for a layer whose blob is in the store. */
export function borrowedFrom({ annotations }: Descriptor): ImageName | undefined {
  return annotations?.[SOURCE] as ImageName | undefined;
}

export interface ForeignLayer {
  diffId: DiffId;
  chainId: ChainId;
  /** As the store's own driver has layers. */
  directory: string;
  /** Of its files. */
  sizeBytes: number;
}

/**
 * Makes layers of the store of another engine's, without a copy: snapshots on btrfs, hard links for overlay. Those that
 * are there already stay. The caller holds the content lock.
 * @param request.layers all of an image, bottom first
 * @param request.source whence skopeo gets the image
 * @returns the layers' descriptors; undefined where the file system does not allow it, or they are of another kind
 */
export async function borrowLayers(
  store: Store,
  request: OperationOptions & { layers: readonly ForeignLayer[]; source: ImageName; workspace: Workspace },
): Promise<Descriptor[] | undefined> {
  const { layers, source, workspace } = request;
  const steps = layers
    .map((layer, index) => ({ ...layer, index, name: layerName(layer.chainId) }))
    .filter(({ name }) => !existsSync(store.paths.layer(name)))
    .map((layer) => ({ ...layer, newName: workspace.newLayerName(layer.index) }));
  const job: ShareJob = {
    driver: store.driver.name,
    layers: store.paths.layers,
    steps: steps.map(({ newName, directory }) => ({ newName, directory })),
  };
  if (steps.length > 0) {
    const shared = await runIsolated<ShareJob, boolean>(
      jobModule(import.meta.url, 'share.job'),
      job,
      request,
    );
    if (!shared) return undefined;
  }
  publishLayers(
    store,
    steps.map(({ newName, name, chainId, diffId, index }) => ({
      newName,
      name,
      record: { chainId, diffId, parent: layers[index - 1]?.chainId ?? null, borrowed: true },
    })),
  );
  return layers.map(({ diffId, sizeBytes }) => ({
    mediaType: LAYER_TYPE,
    digest: diffId as string as Digest,
    size: sizeBytes,
    annotations: { [SOURCE]: source },
  }));
}

/**
 * The image with every blob in the store: those of borrowed layers are copied from where they are, once, and the image
 * has another manifest then, under the same names. For what hands images on. Takes the content lock.
 * @throws IMGBOOT_COPY_FAILED, IMGBOOT_BLOB_MISSING where the other engine's image is not what it was
 */
export async function completeImage(store: Store, image: Image, options: OperationOptions): Promise<Image> {
  const sources = new Set(image.manifest.layers.flatMap((layer) => borrowedFrom(layer) ?? []));
  if (sources.size === 0) return image;
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', options);
  const found = new Map<Digest, Descriptor>();
  for (const source of sources)
    for (const layer of await fetchBlobs(store, source, { ...options, workspace }))
      found.set(layer.digest, layer);
  const layers = image.manifest.layers.map((layer) => {
    if (borrowedFrom(layer) === undefined) return layer;
    const fetched = found.get(layer.digest);
    if (fetched !== undefined) return fetched;
    throw new ImgbootError(
      'IMGBOOT_BLOB_MISSING',
      `${image.reference ?? image.id} was taken from ${borrowedFrom(layer)}, which does not have its layer ${layer.digest} any more`,
      { hint: 'take the image again' },
    );
  });
  const config = readBlob(store.paths, image.manifest.config.digest);
  const descriptor = writeManifest(store.paths, { config, layers, workspace });
  await store.replace(image.descriptor, descriptor);
  return store.image(image.reference ?? image.id);
}

/** Copies an image's layers, uncompressed, as blobs into the store; nothing names them yet. */
async function fetchBlobs(
  store: Store,
  from: ImageName,
  { workspace, progress, signal }: OperationOptions & { workspace: Workspace },
): Promise<Descriptor[]> {
  progress?.({ step: `copying the layers of ${from}` });
  const fetched = new StorePaths(mkdtempSync(join(workspace.path, 'fetched-')));
  mkdirSync(fetched.blobs, { recursive: true });
  const to = `oci:${basename(fetched.root)}/oci:image` as const;
  await copyImage({ from, to, cwd: workspace.path, remote: 'from', signal });
  const image = readImage(fetched, parseIndex(readFileSync(fetched.index), fetched.index).manifests[0]!);
  return image.layers.flatMap(({ descriptor: { digest, size, mediaType }, diffId }) => {
    // Another image may have it by now; only what is the very tar is meant.
    if ((digest as string) !== diffId) return [];
    adoptBlob(store.paths, { path: fetched.blob(digest), digest });
    return [{ mediaType, digest, size }];
  });
}
