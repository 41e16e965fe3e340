import type { InitramfsReport, InitramfsRequest } from '../initramfs/make-initramfs.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { viewNeedsMount, viewOf } from '../store/view.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { runJob, type ImageInitramfsJob } from './image-initramfs.job.ts';

export interface ImageInitramfsRequest extends OperationOptions {
  reference: string;
  /** The image, where the caller has it; what the reference names when undefined. */
  image?: Image | undefined;
  initramfs: Omit<InitramfsRequest, 'root'>;
  /** Where to put a copy of the image's kernel; none is made when undefined. */
  kernelOutput?: string | undefined;
}

/**
 * Makes the initramfs for an image of a store, from the image's own kernel and programs, and brings out its kernel.
 * Needs root.
 * @throws IMGBOOT_NO_KERNEL_IMAGE, and what {@link makeInitramfs} throws
 */
export async function makeImageInitramfs(
  store: Store,
  request: ImageInitramfsRequest,
): Promise<InitramfsReport> {
  using _content = await store.lockContent('shared', request);
  await using workspace = await store.workspace();
  const { reference, image = store.image(reference), initramfs, kernelOutput, ...options } = request;
  const job: ImageInitramfsJob = {
    view: viewOf(store, image, workspace),
    reference,
    initramfs,
    kernelOutput,
  };
  // A process of its own costs a tenth of a second; only a mount needs it.
  if (!viewNeedsMount(job.view))
    return await runJob(job, { progress: options.progress ?? (() => {}), say: () => {} });
  return await runIsolated<ImageInitramfsJob, InitramfsReport>(
    jobModule(import.meta.url, 'image-initramfs.job'),
    job,
    options,
  );
}
