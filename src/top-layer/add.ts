import { resolve } from 'node:path';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { Added, AddJob } from './add.job.ts';
import type { TopLayerPlace } from './place.ts';

export type { Added } from './add.job.ts';

export interface AddRequest extends OperationOptions {
  place: TopLayerPlace;
  /** The root file system that the files are of; the running one when undefined. */
  from?: string | undefined;
  /** Files and directories: in `from`, or of the running system, where they may be relative. */
  paths: readonly string[];
}

/**
 * Copies files into a top layer, to the same places, with all that they have: owners, modes, times, extended attributes,
 * ACLs, hard links. Each file is the old or the new whenever it is stopped. Needs root.
 * @throws IMGBOOT_NO_SUCH_FILE, IMGBOOT_USAGE, IMGBOOT_TOP_LAYER, IMGBOOT_BUSY
 */
export async function addToTopLayer({ place, from, paths, ...options }: AddRequest): Promise<Added> {
  await using directory = await TemporaryDirectory.create();
  const job: AddJob = {
    place,
    from: from === undefined ? '/' : resolve(from),
    paths: from === undefined ? paths.map((path) => resolve(path)) : [...paths],
    mountPoint: directory.path,
  };
  const module = jobModule(import.meta.url, 'add.job');
  try {
    return await runIsolated<AddJob, Added>(module, job, options);
  } catch (error) {
    // A job that was killed has left its work aside.
    if (options.signal?.aborted === true) await runIsolated<AddJob, Added>(module, { ...job, paths: [] });
    throw error;
  }
}
