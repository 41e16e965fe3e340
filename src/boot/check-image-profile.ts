import type { ProfileFinding } from '../initramfs/check-profile.ts';
import type { Store } from '../store/store.ts';
import { viewNeedsMount, viewOf } from '../store/view.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { runJob, type ImageProfileJob } from './check-image-profile.job.ts';

/** What an image of the store lacks for a machine. Needs root. */
export async function checkImageProfile(
  store: Store,
  request: Omit<ImageProfileJob, 'view'> & OperationOptions & { reference: string },
): Promise<ProfileFinding[]> {
  const { reference, profile, kver, ...options } = request;
  using _content = await store.lockContent('shared', options);
  await using workspace = await store.workspace();
  const job: ImageProfileJob = { view: viewOf(store, store.image(reference), workspace), profile, kver };
  if (!viewNeedsMount(job.view)) return await runJob(job);
  return await runIsolated<ImageProfileJob, ProfileFinding[]>(
    jobModule(import.meta.url, 'check-image-profile.job'),
    job,
    options,
  );
}
