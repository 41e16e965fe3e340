import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../../errors.ts';
import type { DiffId } from '../../image/digest.ts';
import { enterRoot } from '../../layer/enter-root.ts';
import { applyChanges, writeLayerTar } from '../../layer/commit-upper.ts';
import type { DriverName } from '../../store/driver.ts';
import { createDriver } from '../../store/drivers.ts';
import type { LayerName } from '../../store/paths.ts';
import { MS_BIND, mount, readXattrs } from '../../system/libc.ts';
import { diffTrees, type TreeChange } from './diff-trees.ts';

/** What a container has changed, to be told or to be made a layer, as plain data. */
export interface DiffJob {
  driver: DriverName;
  layers: string;
  /** The image's, topmost first. */
  chain: LayerName[];
  /** The container's root file system (btrfs), or its upper directory (overlay). */
  changed: string;
  /** Places that were made in it to be mounted over. */
  made: string[];
  /** An empty directory of the store. */
  scratch: string;
  latestSeconds: bigint | undefined;
  /** Where the layer's tar and its unpacked form are put; undefined to only tell. */
  layer: { tar: string; newName: string } | undefined;
}

export interface DiffResult {
  changes: { kind: TreeChange['kind']; path: string }[];
  /** Undefined where nothing was changed, or no layer was asked for. */
  layer: { diffId: DiffId; sizeBytes: number } | undefined;
}

export async function runJob(job: DiffJob): Promise<DiffResult> {
  const view = join(job.scratch, 'diff');
  const [below, changed] = [join(view, 'below'), join(view, 'changed')];
  for (const directory of [view, below, changed]) mkdirSync(directory);
  const driver = createDriver(job.driver);
  const root = driver.view(job.layers, job.chain, below);
  if (root !== below) mount({ source: root, target: below, flags: MS_BIND });
  mount({ source: job.changed, target: changed, flags: MS_BIND });
  const changes = compare(view, job);
  if (job.layer === undefined || changes.length === 0)
    return { changes: changes.map(({ kind, path }) => ({ kind, path })), layer: undefined };
  refuseWhiteoutNames(changes);
  const layer = writeLayerTar(changes, { upper: changed, output: job.layer.tar });
  const scratch = join(job.scratch, 'layer');
  mkdirSync(scratch);
  const fresh = driver.begin(job.layers, { newName: job.layer.newName, parents: job.chain, scratch });
  applyChanges(changes, { upper: changed, root: fresh.root });
  fresh.seal();
  return { changes: [], layer };
}

/** The container may change it meanwhile: there is nothing to be led to but its own files and its image's. */
function compare(view: string, job: DiffJob): TreeChange[] {
  // What is loaded at first use is loaded from outside.
  readXattrs(view);
  using _inside = enterRoot(view);
  return diffTrees({
    changed: '/changed',
    whole: job.driver === 'btrfs',
    below: '/below',
    made: job.made,
    latestSeconds: job.latestSeconds,
  });
}

function refuseWhiteoutNames(changes: readonly TreeChange[]): void {
  const forbidden = changes.find(
    ({ kind, path }) => kind !== 'deleted' && path.slice(path.lastIndexOf('/') + 1).startsWith('.wh.'),
  );
  if (forbidden === undefined) return;
  throw new ImgbootError(
    'IMGBOOT_BAD_LAYER',
    `the file ${JSON.stringify(`/${forbidden.path}`)} cannot be kept: in a layer, a name that begins with .wh. deletes a file`,
    { hint: 'rename or remove it in the container' },
  );
}
