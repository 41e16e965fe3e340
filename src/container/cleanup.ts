import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import type { ProcessIdentity } from '../system/process-identity.ts';
import type { OperationOptions } from '../system/progress.ts';
import { removeTree } from '../system/remove-tree.ts';
import { isMonitorThere } from './conmon.ts';
import { removeCgroups, removeSharedCgroups } from './limits/container-cgroup.ts';
import { ContainerPaths } from './paths.ts';
import { hasNetworks, listContainers, readContainer, type Container } from './record.ts';
import { isRunning } from './state.ts';
import { removeAnonymousVolumes } from './volume/volume.ts';
import { removeWritableLayer } from './writable-layer.ts';

/** Containers on their way in or out; no ID begins so. */
export const NEW_PREFIX = '.new-';
export const GONE_PREFIX = '.gone-';

/** Waits for a container's lock; undefined where the container is gone by then. */
export async function lockContainer(
  paths: ContainerPaths,
  { signal }: OperationOptions = {},
): Promise<FileLock | undefined> {
  try {
    const lock = await FileLock.acquire(paths.lock, 'exclusive', { signal });
    if (existsSync(paths.record)) return lock;
    lock[Symbol.dispose]();
    return undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where commands of all stores agree on the cgroups that containers share. */
const HOST_LOCKS = '/run/imgboot';

/** Held shared by who makes cgroups, so that nobody takes away the one above them meanwhile. */
export async function lockCgroups(): Promise<FileLock> {
  mkdirSync(HOST_LOCKS, { recursive: true, mode: 0o755 });
  return FileLock.acquire(join(HOST_LOCKS, 'cgroups.lock'), 'shared');
}

/**
 * Gives back what a start used, whatever state it is in: processes, cgroups, the runtime's state. Nothing is done
 * where that has happened. The caller holds the container's lock, and knows that it is to end.
 */
export async function cleanUp(store: Store, { record, paths }: Container): Promise<void> {
  await removeCgroups(record.id);
  if (hasNetworks(record)) {
    // Not loaded where there are none: that takes as long as all else here.
    const { detachNetworks } = await import('./network/detach.ts');
    await detachNetworks({ paths: store.paths, containerId: record.id });
  }
  removeTree(paths.run);
}

/** Removes a container that does not run, and with `volumes` those that were made for it. The caller holds its lock. */
export async function removeContainerFiles(
  store: Store,
  { record, paths }: Container,
  { volumes }: { volumes: boolean },
): Promise<void> {
  // A name of its own first: what is half deleted must not be taken for a container.
  const gone = new ContainerPaths(join(paths.root, '..', `${GONE_PREFIX}${record.id}`));
  renameSync(paths.root, gone.root);
  removeWritableLayer(record, gone);
  removeTree(gone.root);
  if (!volumes) return;
  const names = record.mounts.flatMap((mount) =>
    mount.kind === 'volume' && mount.anonymous ? mount.name : [],
  );
  await removeAnonymousVolumes(store, { names });
}

const MONITOR_MS = 5_000;
const POLL_MS = 2;

/** Waits until the monitor of a container that has ended is gone, and takes away what was the last container's. */
export async function awaitMonitor(monitor: ProcessIdentity | undefined): Promise<void> {
  for (let waited = 0; isMonitorThere(monitor) && waited < MONITOR_MS; waited += POLL_MS)
    await sleep(POLL_MS);
  tidyCgroups();
}

/** Takes away the cgroups that containers share, where there are none. */
export function tidyCgroups(): void {
  if (!existsSync(HOST_LOCKS)) return;
  using lock = FileLock.tryAcquire(join(HOST_LOCKS, 'cgroups.lock'), 'exclusive');
  if (lock !== undefined) removeSharedCgroups();
}

/**
 * Cleans up after commands that were killed, and after containers that ended while nobody looked: those that a reboot
 * ended, too. What others are working on is left to them.
 */
export async function sweepContainers(store: Store): Promise<void> {
  const { containers } = store.paths;
  if (!existsSync(containers)) return;
  for (const name of readdirSync(containers)) {
    const paths = new ContainerPaths(join(containers, name));
    if (name.startsWith(GONE_PREFIX)) removeRemains(paths);
    else if (name.startsWith(NEW_PREFIX)) {
      using lock = tryLock(paths.lock);
      if (lock !== undefined) removeRemains(paths);
    }
  }
  for (const container of listContainers(store)) await sweepContainer(store, container);
}

async function sweepContainer(store: Store, container: Container): Promise<void> {
  const { paths, record } = container;
  if (isRunning(paths) || (!existsSync(paths.run) && !record.autoRemove)) return;
  using lock = tryLock(paths.lock);
  if (lock === undefined || isRunning(paths) || !existsSync(paths.record)) return;
  using attended = tryLock(paths.attended);
  if (attended === undefined) return;
  await cleanUp(store, container);
  if (record.autoRemove) await removeContainerFiles(store, container, { volumes: true });
}

/** Undefined where somebody has it, or the container is gone. */
function tryLock(path: string): FileLock | undefined {
  try {
    return FileLock.tryAcquire(path, 'exclusive');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What is left of a container that was never whole, or no longer is. */
export function removeRemains(paths: ContainerPaths): void {
  const container = readContainer(paths);
  if (container !== undefined) removeWritableLayer(container.record, paths);
  removeTree(paths.root);
}
