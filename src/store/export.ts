import { renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { ExportJob } from './export.job.ts';
import type { Store } from './store.ts';
import { viewOf } from './view.ts';

/** Writes an image's root file system as a tar: to a file, aside and renamed, or to this process's standard output. */
export async function exportRootfs(
  store: Store,
  request: OperationOptions & { reference: string; path: string | undefined },
): Promise<void> {
  using _content = await store.lockContent('shared', request);
  await using workspace = await store.workspace();
  const view = viewOf(store, store.image(request.reference), workspace);
  const run = (output: string | undefined): Promise<void> =>
    runIsolated<ExportJob, void>(
      jobModule(import.meta.url, 'export.job'),
      { view, output },
      { ...request, stdout: 'inherit' },
    );
  if (request.path === undefined) return await run(undefined);
  const path = resolve(request.path);
  const aside = join(dirname(path), `.imgboot-${basename(workspace.path)}`);
  try {
    await run(aside);
    renameSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
}
