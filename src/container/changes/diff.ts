import type { Store } from '../../store/store.ts';
import { jobModule, runIsolated } from '../../system/isolate.ts';
import { FileLock } from '../../system/lock.ts';
import type { OperationOptions } from '../../system/progress.ts';
import type { DiffJob, DiffResult } from './diff.job.ts';
import type { TreeChange } from '../../layer/diff-trees.ts';
import type { Container } from '../record.ts';
import { madePlaces } from '../writable-layer.ts';

export interface PathChange {
  kind: TreeChange['kind'];
  /** From the root, absolute. */
  path: string;
}

/** What a container has changed of its image's root file system, running or not. */
export async function diffContainer(
  store: Store,
  container: Container,
  options: OperationOptions,
): Promise<PathChange[]> {
  using _lock = await FileLock.acquire(container.paths.lock, 'exclusive', { signal: options.signal });
  await using workspace = await store.workspace();
  const job = { ...diffJob(store, container, workspace.path), layer: undefined, latestSeconds: undefined };
  const { changes } = await runDiff(job, options);
  return changes.map(({ kind, path }) => ({ kind, path: `/${Buffer.from(path, 'latin1').toString()}` }));
}

export async function runDiff(job: DiffJob, options: OperationOptions): Promise<DiffResult> {
  return runIsolated<DiffJob, DiffResult>(jobModule(import.meta.url, 'diff.job'), job, options);
}

export function diffJob(
  store: Store,
  { record, paths }: Container,
  scratch: string,
): Omit<DiffJob, 'layer' | 'latestSeconds'> {
  return {
    driver: record.driver,
    layers: store.paths.layers,
    chain: record.layers,
    changed: record.driver === 'btrfs' ? paths.rootfs : paths.upper,
    made: madePlaces(paths).map(({ path }) => path),
    scratch,
  };
}
