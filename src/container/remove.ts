import { existsSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import { cleanUp, lockContainer, removeContainerFiles, tidyCgroups } from './cleanup.ts';
import type { Container } from './record.ts';
import { isRunning } from './state.ts';
import { killAndSettle, stopContainer } from './stop.ts';

/** How long the command that shows a container may take to notice its end. */
const ATTENDED_MS = 2_000;

/**
 * Removes a container with its writable layer, and with `volumes` those that were made for it alone. One that runs is
 * ended first where that is forced: by its stop signal where a time for that is given.
 * @throws IMGBOOT_IS_RUNNING
 */
export async function removeContainer(
  store: Store,
  container: Container,
  {
    force,
    volumes,
    stopSeconds,
    ...options
  }: OperationOptions & { force: boolean; volumes: boolean; stopSeconds: number | undefined },
): Promise<void> {
  const { record, paths } = container;
  if (isRunning(paths)) {
    if (!force)
      throw new ImgbootError('IMGBOOT_IS_RUNNING', `the container ${record.name} is running`, {
        hint: `stop it first, or end and remove it with --force`,
      });
    if (stopSeconds === undefined) await killAndSettle(store, container, options);
    else await stopContainer(store, container, { timeoutSeconds: stopSeconds, ...options });
  }
  await leaveTime(container);
  // With --rm it has removed itself.
  using lock = await lockContainer(paths, options);
  if (lock === undefined) return;
  if (isRunning(paths))
    throw new ImgbootError('IMGBOOT_IS_RUNNING', `the container ${record.name} was started again meanwhile`);
  await cleanUp(store, container);
  await removeContainerFiles(store, container, { volumes });
  tidyCgroups();
}

/** Lets the command that shows the container read how it ended. */
async function leaveTime({ paths }: Container): Promise<void> {
  if (!existsSync(paths.attended)) return;
  const timeout = AbortSignal.timeout(ATTENDED_MS);
  try {
    using _attended = await FileLock.acquire(paths.attended, 'exclusive', { signal: timeout });
  } catch (error) {
    if (!timeout.aborted) throw error;
  }
}
