import { renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { ExportJob } from './export.job.ts';
import type { Store } from './store.ts';
import { viewOf, type ImageView } from './view.ts';
import type { Workspace } from './workspace.ts';

/** Writes an image's root file system as a tar: to a file, aside and renamed, or to this process's standard output. */
export async function exportRootfs(
  store: Store,
  request: OperationOptions & { reference: string; path: string | undefined },
): Promise<void> {
  const view = (workspace: Workspace): ImageView => viewOf(store, store.image(request.reference), workspace);
  await exportView(store, { ...request, view });
}

/** The same of what a view shows. */
export async function exportView(
  store: Store,
  request: OperationOptions & { view: (workspace: Workspace) => ImageView; path: string | undefined },
): Promise<void> {
  using _content = await store.lockContent('shared', request);
  await using workspace = await store.workspace();
  const view = request.view(workspace);
  const { progress, signal } = request;
  const run = (output: string | undefined): Promise<void> =>
    runIsolated<ExportJob, void>(
      jobModule(import.meta.url, 'export.job'),
      { view, output },
      { progress, signal, stdout: 'inherit' },
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
