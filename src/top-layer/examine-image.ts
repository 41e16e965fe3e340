import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { viewNeedsMount, viewOf } from '../store/view.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import { runJob, type Examined, type ExamineJob } from './examine.job.ts';
import type { TopLayerPlace } from './place.ts';

export type { Examined } from './examine.job.ts';

export interface ExamineRequest extends OperationOptions {
  place: TopLayerPlace;
  /** Directories that the boot mounts over the root, absolute. */
  persist?: readonly string[] | undefined;
  /** Also the digest, for which all of the top layer is read. */
  measure?: boolean | undefined;
  /** Also how the contents of files differ. */
  texts?: boolean | undefined;
}

/**
 * What a boot would make of an image of the store with a top layer, and where the two collide. Changes nothing. Needs root.
 * @throws IMGBOOT_NO_TOP_LAYER, IMGBOOT_TOP_LAYER
 */
export async function examineOnImage(
  store: Store,
  { image, ...request }: ExamineRequest & { image: Image },
): Promise<Examined> {
  using _content = await store.lockContent('shared', request);
  await using workspace = await store.workspace();
  const view = viewOf(store, image, workspace);
  const target = { kind: 'image' as const, view, name: image.reference ?? image.id };
  return await examineWith({ ...request, target, mounts: viewNeedsMount(view), scratch: workspace.path });
}

/** The same for a root file system. Needs root only where the top layer is on a device. */
export async function examineOnRoot({
  root,
  ...request
}: ExamineRequest & { root: string }): Promise<Examined> {
  await using directory = await TemporaryDirectory.create();
  const target = { kind: 'root' as const, root };
  return await examineWith({ ...request, target, mounts: false, scratch: directory.path });
}

async function examineWith(
  request: ExamineRequest & { target: ExamineJob['target']; mounts: boolean; scratch: string },
): Promise<Examined> {
  const { place, target, scratch, mounts, progress, signal } = request;
  const job: ExamineJob = {
    place,
    target,
    scratch,
    persist: [...(request.persist ?? [])],
    measure: request.measure === true,
    texts: request.texts === true,
  };
  if (place.kind === 'directory' && !mounts && !job.measure) return await runJob(job);
  const module = jobModule(import.meta.url, 'examine.job');
  return await runIsolated<ExamineJob, Examined>(module, job, { progress, signal });
}
