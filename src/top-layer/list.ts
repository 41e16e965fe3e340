import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import { runJob, type Listed, type ListJob } from './list.job.ts';
import type { TopLayerPlace } from './place.ts';

export type { ListedEntry } from './list.job.ts';

/**
 * What is in a top layer, by path. Its digest, and what is on a device, only root can see.
 * @throws IMGBOOT_NO_TOP_LAYER, IMGBOOT_TOP_LAYER
 */
export async function listTopLayer(
  place: TopLayerPlace,
  { measure, ...options }: OperationOptions & { measure: boolean },
): Promise<Listed> {
  await using directory = await TemporaryDirectory.create();
  const job: ListJob = { place, scratch: directory.path, measure };
  if (place.kind === 'directory' && !measure) return await runJob(job);
  return await runIsolated<ListJob, Listed>(jobModule(import.meta.url, 'list.job'), job, options);
}
