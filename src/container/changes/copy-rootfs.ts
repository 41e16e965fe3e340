import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { exportView } from '../../store/export.ts';
import type { LayerName } from '../../store/paths.ts';
import type { Store } from '../../store/store.ts';
import { FileLock } from '../../system/lock.ts';
import type { OperationOptions } from '../../system/progress.ts';
import type { Container } from '../record.ts';

/**
 * Writes a container's root file system as a tar, without what is mounted in it: to a file, aside and renamed, or to
 * this process's standard output.
 */
export async function exportContainer(
  store: Store,
  { record, paths }: Container,
  request: OperationOptions & { path: string | undefined },
): Promise<void> {
  using _lock = await FileLock.acquire(paths.lock, 'exclusive', { signal: request.signal });
  const { layers } = store.paths;
  const changed = record.driver === 'btrfs' ? paths.rootfs : paths.upper;
  await exportView(store, {
    ...request,
    view: (workspace) => {
      const mountPoint = join(workspace.path, 'view');
      mkdirSync(mountPoint);
      // What it has changed is one layer more.
      const chain = [relative(layers, changed) as LayerName, ...record.layers];
      return { driver: record.driver, layers, chain, mountPoint };
    },
  });
}
