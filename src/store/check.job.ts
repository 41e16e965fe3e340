import { existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errorMessage } from '../errors.ts';
import { applyLayer, type LayerSource } from '../layer/apply-layer.ts';
import { compareTrees } from '../layer/compare-trees.ts';
import { BlobFeed } from '../layer/feed.ts';
import { isSubvolume, subvolumeUuid } from '../system/btrfs.ts';
import type { JobContext } from '../system/isolate.ts';
import type { DriverName } from './driver.ts';
import { createDriver } from './drivers.ts';
import type { LayerName } from './paths.ts';

/** Layers of one image to prove, bottom first. */
export interface CheckJob {
  driver: DriverName;
  /** The store's `layers` directory. */
  layers: string;
  /** A directory of the caller's in the store's `tmp`. */
  scratch: string;
  /** Its name, and how many of its layers lie below the first step, for the progress. */
  image: string;
  offset: number;
  /** The layers below the first step, topmost first; proved already. */
  parents: LayerName[];
  steps: CheckStep[];
}

interface CheckStep {
  newName: string;
  name: LayerName;
  source: LayerSource;
  /** What its record says: the subvolume's UUID, or null where layers are none. Undefined when it has no record. */
  uuid: string | null | undefined;
}

export interface CheckResult {
  /** How many layers are whole. */
  good: number;
  /** Of the layer after those; what its blob makes lies at its `newName`, if the blob is whole. */
  damage: Damage | undefined;
}

export interface Damage {
  kind: 'blob' | 'layer';
  message: string;
}

/** Unpacks each layer beside itself and compares, up to the first that is damaged. */
export async function runJob(job: CheckJob, { progress }: JobContext): Promise<CheckResult> {
  const driver = createDriver(job.driver);
  await using feed = await BlobFeed.start();
  const parents = [...job.parents];
  for (const [index, step] of job.steps.entries()) {
    const number = job.offset + index + 1;
    progress({ step: `checking layer ${number} of ${job.offset + job.steps.length} of ${job.image}` });
    const scratch = mkdtempSync(join(job.scratch, 'check-'));
    const fresh = join(job.layers, step.newName);
    try {
      const layer = driver.begin(job.layers, { newName: step.newName, parents, scratch });
      await applyLayer(step.source, { root: layer.root, feed });
      layer.seal();
    } catch (error) {
      if (!(error instanceof ImgbootError)) throw error;
      return { good: index, damage: { kind: 'blob', message: errorMessage(error) } };
    }
    const message = layerDamage(join(job.layers, step.name), { fresh, uuid: step.uuid });
    if (message !== undefined) return { good: index, damage: { kind: 'layer', message } };
    driver.remove(fresh);
    parents.unshift(step.name);
  }
  return { good: job.steps.length, damage: undefined };
}

function layerDamage(
  place: string,
  { fresh, uuid }: { fresh: string; uuid: string | null | undefined },
): string | undefined {
  if (!existsSync(place)) return 'it is not unpacked';
  if (uuid === undefined) return 'its record is missing or of another layer';
  if (uuid !== null && (!isSubvolume(place) || subvolumeUuid(place) !== uuid))
    return 'it is not the subvolume that was made for it';
  const differences = compareTrees(place, fresh);
  // A time alone says little: whatever is done to a file changes one.
  const first = differences.find(({ what }) => !what.startsWith('time ')) ?? differences[0];
  if (first === undefined) return undefined;
  const where = JSON.stringify(Buffer.from(first.path, 'latin1').toString());
  const more = differences.length > 1 ? `, and ${differences.length - 1} more` : '';
  return `it is not what its blob makes: ${where}: ${first.what}${more}`;
}
