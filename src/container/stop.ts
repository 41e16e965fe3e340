import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { awaitMonitor } from './cleanup.ts';
import { monitorProcess } from './conmon.ts';
import { isFrozen, thaw } from './limits/container-cgroup.ts';
import { finish, requireRunning, signalContainer, waitForExit } from './foreground.ts';
import type { Container } from './record.ts';
import { isRunning } from './state.ts';

/**
 * Asks a container to end, by its stop signal, and after a while ends it. What it used is given back when this returns.
 * Nothing is done where it does not run.
 */
export async function stopContainer(
  store: Store,
  container: Container,
  { timeoutSeconds, ...options }: OperationOptions & { timeoutSeconds: number | undefined },
): Promise<void> {
  const { record, paths } = container;
  if (isRunning(paths)) {
    const limitMs = (timeoutSeconds ?? record.stopTimeoutSeconds) * 1000;
    // A frozen process does not hear.
    if (isFrozen(record.id)) thaw(record.id);
    if (limitMs > 0) signalContainer(container, record.stopSignal);
    if (!(await endsWithin(container, limitMs, options)))
      signalContainer(container, constants.signals.SIGKILL);
  }
  await settle(store, container, options);
}

/** Ends a container at once. */
export async function killAndSettle(
  store: Store,
  container: Container,
  options: OperationOptions,
): Promise<void> {
  if (isRunning(container.paths)) {
    if (isFrozen(container.record.id)) thaw(container.record.id);
    signalContainer(container, constants.signals.SIGKILL);
  }
  await settle(store, container, options);
}

/** Sends a container's first process a signal. @throws IMGBOOT_NOT_RUNNING */
export function killContainer(container: Container, signal: number): void {
  requireRunning(container);
  if (signal === constants.signals.SIGKILL && isFrozen(container.record.id)) thaw(container.record.id);
  signalContainer(container, signal);
}

async function settle(store: Store, container: Container, options: OperationOptions): Promise<void> {
  const monitor = monitorProcess(container.paths);
  await waitForExit(container, options.signal);
  await finish(store, container);
  await awaitMonitor(monitor);
}

const POLL_MS = 10;

async function endsWithin(
  { paths }: Container,
  limitMs: number,
  { signal }: OperationOptions,
): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (isRunning(paths)) {
    if (performance.now() >= end) return false;
    await sleep(POLL_MS, undefined, { signal });
  }
  return true;
}
