import { join } from 'node:path';
import type { Digest } from '../image/digest.ts';
import type { Config } from '../image/manifest.ts';
import { storedName } from '../image/reference.ts';
import { addChangedImage } from '../store/add-change.ts';
import type { MadeLayer } from '../store/change-layer.ts';
import type { Store } from '../store/store.ts';
import type { Workspace } from '../store/workspace.ts';
import { snapshotSubvolume } from '../system/btrfs.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { epochSeconds, timestamp } from '../system/timestamp.ts';
import type { AdoptLayerJob } from './adopt-layer.job.ts';
import type { Chosen } from './choose.ts';
import { viewOfRoot } from './diff-root.ts';
import { imageOfRoot } from './image-of-root.ts';
import type { KeptRoot } from './kept-root.ts';

export interface AdoptLayerRequest extends OperationOptions {
  /** The new image's name; none where undefined. */
  reference: string | undefined;
  /** What the image's history says of the layer. */
  createdBy: string;
  /** Changes the run-time part of the config. */
  configure?: (config: Config) => Config;
  message?: string | undefined;
  author?: string | undefined;
}

/**
 * Makes an image of what was changed on a root: its image, and a layer of the changes that were chosen. All or nothing.
 * @returns the image's ID
 * @throws IMGBOOT_NO_SUCH_IMAGE where its own is gone, IMGBOOT_BAD_LAYER for a file that no layer can have
 */
export async function adoptIntoLayer(
  store: Store,
  { drift, changes }: Chosen,
  request: AdoptLayerRequest,
): Promise<Digest> {
  const { root } = drift;
  const reference = request.reference === undefined ? undefined : storedName(request.reference);
  const base = imageOfRoot(store, root);
  // What cannot be is refused before anything is made.
  const config = request.configure?.(structuredClone(base.config)) ?? base.config;
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  request.progress?.({ step: `reading what was changed on ${root.name}` });
  const layer = { tar: join(workspace.path, 'layer.tar'), newName: workspace.newLayerName(0) };
  const epoch = epochSeconds();
  const job: AdoptLayerJob = {
    view: viewOfRoot(store, frozen(store, root, workspace), workspace.path),
    wanted: new Set(changes.map(({ path }) => path)),
    latestSeconds: epoch === undefined ? undefined : BigInt(epoch),
    scratch: workspace.path,
    layer,
  };
  const made = await runIsolated<AdoptLayerJob, MadeLayer | undefined>(
    jobModule(import.meta.url, 'adopt-layer.job'),
    job,
    { signal: request.signal },
  );
  const created = timestamp();
  const author = request.author === undefined ? {} : { author: request.author };
  const comment = request.message === undefined ? {} : { comment: request.message };
  return await addChangedImage(store, {
    base,
    config: { ...config, created, ...author },
    history: { created, created_by: request.createdBy, ...author, ...comment },
    layer: made === undefined ? undefined : { made, ...layer },
    workspace,
    reference,
  });
}

/** Of a root that is written to, a snapshot, where the file system makes one. */
function frozen(store: Store, root: KeptRoot, workspace: Workspace): KeptRoot {
  if (!root.booted || root.layer === 'ram' || store.driver.name !== 'btrfs') return root;
  const directory = join(store.paths.layers, workspace.newLayerName(1));
  snapshotSubvolume(root.directory, directory);
  return { ...root, directory };
}
