import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { diffTrees, type TreeChange } from '../../layer/diff-trees.ts';
import { enterRoot } from '../../layer/enter-root.ts';
import { makeChangeLayer, type MadeLayer } from '../../store/change-layer.ts';
import type { DriverName } from '../../store/driver.ts';
import { createDriver } from '../../store/drivers.ts';
import type { LayerName } from '../../store/paths.ts';
import { MS_BIND, mount, readXattrs } from '../../system/libc.ts';

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
  layer: MadeLayer | undefined;
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
  const layer = makeChangeLayer(changes, { ...job, ...job.layer, changed });
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
