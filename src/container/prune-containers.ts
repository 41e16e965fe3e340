import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { listContainers } from './record.ts';
import { removeContainer } from './remove.ts';
import { isRunning } from './state.ts';

/** Removes every container that does not run. @returns the names of those that it removed, or would */
export async function pruneContainers(
  store: Store,
  { dryRun, ...options }: OperationOptions & { dryRun: boolean },
): Promise<string[]> {
  const ended = listContainers(store).filter(({ paths }) => !isRunning(paths));
  if (!dryRun) {
    for (const container of ended)
      await removeContainer(store, container, {
        force: false,
        volumes: false,
        stopSeconds: undefined,
        ...options,
      });
  }
  return ended.map(({ record }) => record.name);
}
