import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImgbootError, errnoOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import { isSameProcess, type ProcessIdentity } from '../system/process-identity.ts';
import { Attachment, containerTarget, type AttachEnd, type AttachStreams } from './attach.ts';
import { awaitMonitor, cleanUp, lockContainer, removeContainerFiles } from './cleanup.ts';
import { monitorProcess } from './conmon.ts';
import type { Container } from './record.ts';
import { startContainer } from './start.ts';
import { UNKNOWN_EXIT, isRunning, readExit, readStart } from './state.ts';

export interface ForegroundOptions {
  streams: AttachStreams;
  signal: AbortSignal;
  consoleSize: { width: number; height: number } | undefined;
  onWarning?: ((line: string) => void) | undefined;
  /** Called when the container runs: from then on signals are its. */
  onStarted?: (() => void) | undefined;
}

/** How a container that was shown came to its end: its exit status, or that it goes on. */
export type ForegroundResult = { exitCode: number } | { end: Exclude<AttachEnd, 'ended'> };

/** Starts a container and shows it until it ends or the user detaches. One that ends is cleaned up. */
export async function runInForeground(
  store: Store,
  container: Container,
  options: ForegroundOptions,
): Promise<ForegroundResult> {
  const { paths, record } = container;
  const { streams } = options;
  let attended: FileLock | undefined = await FileLock.acquire(paths.attended, 'exclusive');
  let attachment: Attachment | undefined;
  let signals: Disposable | undefined;
  try {
    await startContainer(store, container, {
      signal: options.signal,
      consoleSize: options.consoleSize,
      onWarning: options.onWarning,
      onCreated: (first) => {
        attachment = Attachment.open(containerTarget(container), streams);
        // Before the program can print anything that makes somebody send one.
        signals = forwardSignals(first, record.boot ? record.stopSignal : undefined);
        options.onStarted?.();
      },
    });
    const result = await showToEnd(store, container, { attachment: attachment!, attended });
    attended = undefined;
    return result;
  } catch (error) {
    // What never ran is of use to nobody.
    if (record.autoRemove && !isRunning(paths)) await finish(store, container);
    throw error;
  } finally {
    signals?.[Symbol.dispose]();
    await attachment?.[Symbol.asyncDispose]();
    attended?.[Symbol.dispose]();
  }
}

/** Shows a container that runs until it ends or the user detaches. @throws IMGBOOT_NOT_RUNNING, IMGBOOT_CANNOT_ATTACH */
export async function attachInForeground(
  store: Store,
  container: Container,
  { streams, proxySignals }: { streams: AttachStreams; proxySignals: boolean },
): Promise<ForegroundResult> {
  requireRunning(container);
  const attended = FileLock.tryAcquire(container.paths.attended, 'exclusive');
  await using attachment = Attachment.open(containerTarget(container), streams);
  // An init has its own idea of the signals that end others.
  const stopSignal = container.record.boot ? container.record.stopSignal : undefined;
  using _signals = proxySignals ? forwardSignals(readStart(container.paths)?.process, stopSignal) : undefined;
  return await showToEnd(store, container, { attachment, attended });
}

/** What is `attended` is given back. */
async function showToEnd(
  store: Store,
  container: Container,
  { attachment, attended }: { attachment: Attachment; attended: FileLock | undefined },
): Promise<ForegroundResult> {
  const { paths } = container;
  try {
    const monitor = monitorProcess(paths);
    const end = await attachment.end;
    await attachment[Symbol.asyncDispose]();
    if (end !== 'ended') return { end };
    const exitCode = await waitForExit(container);
    await finish(store, container);
    attended?.[Symbol.dispose]();
    await awaitMonitor(monitor);
    return { exitCode };
  } finally {
    attended?.[Symbol.dispose]();
  }
}

/** @throws IMGBOOT_NOT_RUNNING */
export function requireRunning({ record, paths }: Container): void {
  if (isRunning(paths)) return;
  throw new ImgbootError('IMGBOOT_NOT_RUNNING', `the container ${record.name} does not run`, {
    hint: `imgboot start ${record.name} starts it`,
  });
}

/** Cleans up after a container that has ended, and removes it where that was asked for. */
export async function finish(store: Store, container: Container): Promise<void> {
  const { paths, record } = container;
  // Another may have removed it meanwhile.
  using lock = await lockContainer(paths);
  if (lock === undefined || isRunning(paths)) return;
  await cleanUp(store, container);
  if (record.autoRemove) await removeContainerFiles(store, container, { volumes: true });
}

const FIRST_POLL_MS = 2;
const LONGEST_POLL_MS = 100;
/** How long a monitor may take, once the process is gone, to write how it ended. */
const MONITOR_MS = 5_000;

/** Waits until a container has ended. @returns its exit status, or -1 where nobody saw it end */
export async function waitForExit({ paths }: Container, signal?: AbortSignal): Promise<number> {
  let gone = 0;
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * 1.5, LONGEST_POLL_MS)) {
    signal?.throwIfAborted();
    const ended = readExit(paths);
    if (ended !== undefined) return ended.exitCode;
    if (!isRunning(paths)) {
      gone += pollMs;
      if (!existsSync(paths.root) || gone > MONITOR_MS || monitorProcess(paths) === undefined)
        return readExit(paths)?.exitCode ?? UNKNOWN_EXIT;
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** What a shell and an administrator send; of the others, most are the kernel's word to us. */
const forwarded = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
] as const;

/** Passes on the signals that we get, until it is disposed; those that ask to end as `stopSignal`, where that is given. */
export function forwardSignals(target: ProcessIdentity | undefined, stopSignal?: number): Disposable {
  const listeners = forwarded.map((name) => {
    const isStop = name === 'SIGINT' || name === 'SIGTERM' || name === 'SIGHUP';
    const signal = (isStop ? stopSignal : undefined) ?? constants.signals[name];
    const listener = (): void => sendSignal(target, signal);
    process.on(name, listener);
    return [name, listener] as const;
  });
  return {
    [Symbol.dispose]() {
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}

/** Sends a container's first process a signal; nothing is done when it has ended. */
export function signalContainer({ paths }: Container, signal: number): void {
  sendSignal(readStart(paths)?.process, signal);
}

function sendSignal(target: ProcessIdentity | undefined, signal: number): void {
  if (target === undefined || !isSameProcess(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
