import type { Store } from '../store/store.ts';
import { viewNeedsMount, viewOf, type ImageView } from '../store/view.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { BootFinding } from './bootability.ts';
import { runJob } from './check-image.job.ts';

/** What keeps an image of the store from booting; nothing when it should boot. Needs root. */
export async function checkImage(
  store: Store,
  { reference, ...options }: OperationOptions & { reference: string },
): Promise<BootFinding[]> {
  using _content = await store.lockContent('shared', options);
  await using workspace = await store.workspace();
  const view = viewOf(store, store.image(reference), workspace);
  if (!viewNeedsMount(view)) return await runJob(view);
  return await runIsolated<ImageView, BootFinding[]>(
    jobModule(import.meta.url, 'check-image.job'),
    view,
    options,
  );
}
