import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { DiffId } from '../image/digest.ts';
import { applyChanges, writeLayerTar } from '../layer/commit-upper.ts';
import type { TreeChange } from '../layer/diff-trees.ts';
import type { DriverName } from './driver.ts';
import { createDriver } from './drivers.ts';
import type { LayerName } from './paths.ts';

export interface ChangeLayerRequest {
  driver: DriverName;
  layers: string;
  /** What the layer lies on, topmost first. */
  chain: readonly LayerName[];
  /** The directory that has the content of what was changed. */
  changed: string;
  /** The file that the layer's tar becomes. */
  tar: string;
  /** The name in `layers` that its unpacked form gets. */
  newName: string;
  /** An empty directory of the store. */
  scratch: string;
}

export interface MadeLayer {
  diffId: DiffId;
  sizeBytes: number;
}

/**
 * Makes a layer of a change: its tar, and what that makes of the layers below. Mounts, so it runs only in a mount
 * namespace of its own.
 * @throws IMGBOOT_BAD_LAYER for a file that no layer can have
 */
export function makeChangeLayer(changes: readonly TreeChange[], request: ChangeLayerRequest): MadeLayer {
  refuseWhiteoutNames(changes);
  const { changed } = request;
  const layer = writeLayerTar(changes, { upper: changed, output: request.tar });
  const scratch = join(request.scratch, 'layer');
  mkdirSync(scratch);
  const fresh = createDriver(request.driver).begin(request.layers, {
    newName: request.newName,
    parents: request.chain,
    scratch,
  });
  applyChanges(changes, { upper: changed, root: fresh.root });
  fresh.seal();
  return layer;
}

function refuseWhiteoutNames(changes: readonly TreeChange[]): void {
  const forbidden = changes.find(
    ({ kind, path }) => kind !== 'deleted' && path.slice(path.lastIndexOf('/') + 1).startsWith('.wh.'),
  );
  if (forbidden === undefined) return;
  throw new ImgbootError(
    'IMGBOOT_BAD_LAYER',
    `the file ${JSON.stringify(`/${forbidden.path}`)} cannot be kept: in a layer, a name that begins with .wh. deletes a file`,
    { hint: 'rename or remove it where it is' },
  );
}
