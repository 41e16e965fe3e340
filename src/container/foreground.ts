import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import { isSameProcess } from '../system/process-identity.ts';
import { Attachment, type AttachEnd, type AttachStreams } from './attach.ts';
import { awaitMonitor, cleanUp, removeContainerFiles } from './cleanup.ts';
import { monitorProcess } from './conmon.ts';
import type { Container } from './record.ts';
import { startContainer } from './start.ts';
import { UNKNOWN_EXIT, isRunning, readExit, readStart } from './state.ts';

export interface ForegroundOptions {
  streams: AttachStreams;
  signal: AbortSignal;
  consoleSize: { width: number; height: number } | undefined;
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
  try {
    await startContainer(store, container, {
      signal: options.signal,
      consoleSize: options.consoleSize,
      onCreated: () => {
        attachment = Attachment.open(container, streams);
      },
    });
    options.onStarted?.();
    const monitor = monitorProcess(paths);
    using _signals = forwardSignals(container);
    const end = await attachment!.end;
    await attachment![Symbol.asyncDispose]();
    if (end !== 'ended') return { end };
    const exitCode = await waitForExit(container);
    await finish(store, container);
    attended[Symbol.dispose]();
    attended = undefined;
    await awaitMonitor(monitor);
    return { exitCode };
  } catch (error) {
    // What never ran is of use to nobody.
    if (record.autoRemove && !isRunning(paths)) await finish(store, container);
    throw error;
  } finally {
    await attachment?.[Symbol.asyncDispose]();
    attended?.[Symbol.dispose]();
  }
}

/** Cleans up after a container that has ended, and removes it where that was asked for. */
export async function finish(store: Store, container: Container): Promise<void> {
  const { paths, record } = container;
  // Another may have removed it meanwhile.
  if (!existsSync(paths.root)) return;
  using _lock = await FileLock.acquire(paths.lock, 'exclusive');
  if (!existsSync(paths.root) || isRunning(paths)) return;
  await cleanUp(store, container);
  if (record.autoRemove) removeContainerFiles(container);
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

/** Passes on the signals that we get, until it is disposed. */
function forwardSignals(container: Container): Disposable {
  const listeners = forwarded.map((name) => {
    const listener = (): void => signalContainer(container, constants.signals[name]);
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
  const start = readStart(paths);
  if (start === undefined || !isSameProcess(start.process)) return;
  try {
    process.kill(start.process.pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
