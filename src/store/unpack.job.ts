import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { applyLayer, verifyLayer, type AppliedLayer, type LayerSource } from '../layer/apply-layer.ts';
import { BlobFeed } from '../layer/feed.ts';
import type { JobContext } from '../system/isolate.ts';
import type { DriverName } from './driver.ts';
import { createDriver } from './drivers.ts';

/** Layers to unpack one upon the other, bottom first. */
export interface UnpackJob {
  driver: DriverName;
  /** The store's `layers` directory. */
  layers: string;
  /** A directory of the caller's in the store's `tmp`. */
  scratch: string;
  /** The layer below the first new one, and all below that, topmost first. */
  parents: string[];
  steps: { newName: string; source: LayerSource }[];
  /** Blobs of layers that are unpacked already, to be proved only. */
  known: LayerSource[];
}

/** Leaves each layer, sealed, at its `newName`. */
export async function runJob(job: UnpackJob, { progress }: JobContext): Promise<AppliedLayer[]> {
  const driver = createDriver(job.driver);
  await using feed = await BlobFeed.start();
  const applied: AppliedLayer[] = [];
  const parents = [...job.parents];
  for (const source of job.known) await verifyLayer(source, feed);
  for (const [index, { newName, source }] of job.steps.entries()) {
    progress({ step: `unpacking layer ${index + 1} of ${job.steps.length}` });
    const scratch = mkdtempSync(join(job.scratch, 'unpack-'));
    const layer = driver.begin(job.layers, { newName, parents, scratch });
    applied.push(await applyLayer(source, { root: layer.root, feed }));
    layer.seal();
    parents.unshift(newName);
  }
  return applied;
}
