import { existsSync } from 'node:fs';
import { allVersions, readDeployments } from '../deploy/deployments.ts';
import { ImgbootError } from '../errors.ts';
import type { PackageChange } from '../packages/compare-packages.ts';
import { chainLayers } from '../store/collect.ts';
import type { LayerName } from '../store/paths.ts';
import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { showName } from '../top-layer/show.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { CompareJob, CompareResult } from './compare-images.job.ts';
import type { FileChange } from './tree-changes.ts';

/** In what two images differ. */
export interface ImageComparison {
  before: string;
  after: string;
  /** By name. */
  packages: PackageChange[];
  /** In the order of a tree; paths as showName has them. */
  files: FileChange[];
  notes: string[];
}

/**
 * The packages and files that two images differ in. Each is an image of the store, or the version of a deployment,
 * which stands for its image. Reads only. Needs root.
 * @throws IMGBOOT_NO_SUCH_IMAGE
 */
export async function compareImages(
  store: Store,
  request: OperationOptions & { before: string; after: string; packages: boolean; files: boolean },
): Promise<ImageComparison> {
  const [before, after] = [request.before, request.after].map((text) => findImage(store, text));
  const none = { before: before!.name, after: after!.name, packages: [], files: [], notes: [] };
  if (before!.layers[0] === after!.layers[0]) return none;
  await using scratch = await TemporaryDirectory.create();
  const job: CompareJob = {
    driver: store.driver.name,
    layers: store.paths.layers,
    before: before!.layers,
    after: after!.layers,
    packages: request.packages,
    files: request.files,
    scratch: scratch.path,
  };
  // Ctrl-C ends it, though all of two images may have to be read.
  const { packages, files, unread } = await runIsolated<CompareJob, CompareResult>(
    jobModule(import.meta.url, 'compare-images.job'),
    job,
    { progress: request.progress, signal: request.signal },
  );
  const named = files.map((file) => ({ ...file, path: showName(file.path || '/') }));
  return { ...none, packages, files: named, notes: [...new Set(unread)] };
}

/** @returns its layers, topmost first. @throws IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_LAYER_MISSING */
function findImage(store: Store, text: string): { name: string; layers: LayerName[] } {
  const deployments = readDeployments(store.paths);
  const version = deployments && allVersions(deployments).find(({ id }) => id === text);
  if (version !== undefined) return whole(store, text, chainLayers(store, version.chain));
  const image = store.image(text);
  return whole(store, image.reference ?? image.id, image.layers.map(({ name }) => name).toReversed());
}

function whole(store: Store, name: string, layers: LayerName[]): { name: string; layers: LayerName[] } {
  const missing = layers.find((layer) => !existsSync(store.paths.layer(layer)));
  if (missing === undefined) return { name, layers };
  throw new ImgbootError('IMGBOOT_LAYER_MISSING', `${name} has lost ${store.paths.layer(missing)}`, {
    hint: 'imgboot fsck says what the store has lost',
  });
}
