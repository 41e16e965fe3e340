import { mkdtempSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { storedName } from '../image/reference.ts';
import type { Digest } from '../image/digest.ts';
import { parseIndex, type Descriptor } from '../image/manifest.ts';
import { copyImage, referenceIn, type ImageName, type RegistryOptions } from '../image/transport.ts';
import type { OperationOptions } from '../system/progress.ts';
import { adoptBlob } from './add-image.ts';
import { readImage, type Image } from './image.ts';
import { KnownBlobs } from './known-blobs.ts';
import { StorePaths } from './paths.ts';
import type { Store } from './store.ts';
import { publishLayers, unpackLayers } from './unpack.ts';
import type { Workspace } from './workspace.ts';

export interface PullRequest extends OperationOptions, RegistryOptions {
  from: ImageName;
  /** The name in the store; the one that `from` carries when undefined. */
  reference?: string | undefined;
}

/** Copies an image into the store and unpacks it. All or nothing. */
export async function pullImage(store: Store, request: PullRequest): Promise<Image> {
  const reference = request.reference ?? referenceIn(request.from);
  if (reference === undefined) {
    throw new ImgbootError('IMGBOOT_USAGE', `${request.from} carries no name for the store`, {
      hint: 'give one with --name',
    });
  }
  const name = storedName(reference);
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  const descriptor = await fetchImage(store, { ...request, workspace });
  await store.name(descriptor, name);
  return store.image(name);
}

/**
 * Copies an image into a layout of the workspace (several skopeos in one layout lose tags), unpacks its layers and
 * moves its blobs into the store. Relative paths in `from` are from the workspace. The caller holds the content lock and names the result.
 */
export async function fetchImage(
  store: Store,
  request: OperationOptions & RegistryOptions & { from: ImageName; workspace: Workspace },
): Promise<Descriptor> {
  const { workspace, progress, signal } = request;
  progress?.({ step: `copying ${request.from}` });
  // The layout has the store's own shape, so that the same code reads both. One for each image: the next would find
  // this one's index there, and its blobs gone.
  const fetched = new StorePaths(mkdtempSync(join(workspace.path, 'fetched-')));
  const to = `oci:${basename(fetched.root)}/oci:image` as const;
  const known = new KnownBlobs(store.paths, fetched);
  const copy = async (): Promise<Descriptor> => {
    await copyImage({ ...request, to, cwd: workspace.path, remote: 'from', signal });
    return parseIndex(readFileSync(fetched.index), fetched.index).manifests[0]!;
  };
  let descriptor = await copy();
  if (await known.dropDamaged(readImage(fetched, descriptor), { signal })) descriptor = await copy();
  return adoptImage(store, { descriptor, from: fetched, workspace, progress, signal });
}

/** Takes an image over from a layout of the workspace. */
export async function adoptImage(
  store: Store,
  request: OperationOptions & { descriptor: Descriptor; from: StorePaths; workspace: Workspace },
): Promise<Descriptor> {
  const image = readImage(request.from, request.descriptor);
  const blobs = [image.descriptor, image.manifest.config, ...image.manifest.layers];
  const paths = new Map<Digest, string>(blobs.map(({ digest }) => [digest, request.from.blob(digest)]));
  const unpacked = await unpackLayers(store, image.layers, {
    ...request,
    blobPath: (digest) => paths.get(digest)!,
  });
  for (const { digest } of blobs) adoptBlob(store.paths, { path: paths.get(digest)!, digest });
  publishLayers(store, unpacked);
  const { mediaType, digest, size } = image.descriptor;
  return {
    mediaType,
    digest,
    size,
    platform: { architecture: image.config.architecture, os: image.config.os },
  };
}
