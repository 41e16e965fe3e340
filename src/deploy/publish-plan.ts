import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LoaderPlan } from '../loader/plan.ts';
import { publish } from '../loader/publish.ts';
import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { PublishJob } from './publish.job.ts';

/**
 * Makes the loader's files equal to a plan: in a directory that stands for its file system, or on the file system
 * itself, which is mounted where nobody else sees it.
 * @throws IMGBOOT_NO_SPACE before anything is written, IMGBOOT_NO_BOOT_FILESYSTEM
 */
export async function publishPlan(
  store: Store,
  {
    plan,
    bootDirectory,
    ...options
  }: OperationOptions & { plan: LoaderPlan; bootDirectory?: string | undefined },
): Promise<void> {
  options.signal?.throwIfAborted();
  if (bootDirectory !== undefined) {
    publish(bootDirectory, plan);
    return;
  }
  await using workspace = await store.workspace();
  const mountPoint = join(workspace.path, 'boot');
  const espMountPoint = join(workspace.path, 'esp');
  for (const directory of [mountPoint, espMountPoint]) mkdirSync(directory);
  const job: PublishJob = { plan, mountPoint, espMountPoint };
  await runIsolated<PublishJob, void>(jobModule(import.meta.url, 'publish.job'), job, options);
}
