import { join, relative } from 'node:path';
import { MNT_DETACH, unmount } from '../system/libc.ts';
import { findMount } from '../system/mountinfo.ts';
import type { JobContext } from '../system/isolate.ts';
import type { DriverName } from './driver.ts';
import { createDriver } from './drivers.ts';

/** Layers of another engine to make as the store has them, bottom first. */
export interface ShareJob {
  driver: DriverName;
  /** The store's `layers` directory. */
  layers: string;
  steps: { newName: string; directory: string }[];
}

/** Leaves each layer, sealed, at its `newName`. @returns false, having left nothing, where one cannot be shared */
export function runJob(job: ShareJob, { progress }: JobContext): Promise<boolean> {
  const driver = createDriver(job.driver);
  for (const { directory } of job.steps.slice(0, 1)) uncover(directory, job.layers);
  for (const [index, { newName, directory }] of job.steps.entries()) {
    progress({ step: `taking layer ${index + 1} of ${job.steps.length}` });
    if (driver.share(directory, join(job.layers, newName))) continue;
    for (const made of job.steps.slice(0, index)) driver.remove(join(job.layers, made.newName));
    return Promise.resolve(false);
  }
  return Promise.resolve(true);
}

/**
 * Engines mount their drivers' directories onto themselves, and there is no link from one mount to another. Here, where
 * nobody else sees it, that is undone.
 */
function uncover(directory: string, layers: string): void {
  const ours = findMount(layers);
  for (let tries = 0; tries < 10; tries += 1) {
    const { target, root } = findMount(directory);
    const below = relative(ours.target, target);
    if (below === '' || below.startsWith('..') || root !== join(ours.root, below)) return;
    unmount(target, MNT_DETACH);
  }
}
