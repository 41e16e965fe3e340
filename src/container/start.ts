import { existsSync, mkdirSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { runCommand } from '../system/exec.ts';
import { runIsolated } from '../system/isolate.ts';
import { FileLock } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import { identifyProcess, type ProcessIdentity } from '../system/process-identity.ts';
import { removeTree } from '../system/remove-tree.ts';
import { cleanUp, lockCgroups } from './cleanup.ts';
import { findMonitor, runtimeArguments } from './conmon.ts';
import { findInit } from './init.ts';
import { startIsolation, startJobModule } from './prepare-start.ts';
import { writePrivateFiles } from './private-files.ts';
import { hasNetworks, publish, type Container } from './record.ts';
import { explainRuntimeFailure } from './runtime-failure.ts';
import { chooseRuntime } from './runtime.ts';
import type { StartJob } from './start.job.ts';
import { isRunning, type StartRecord } from './state.ts';
import { prepareVolumes } from './volume/volume-use.ts';

export interface StartOptions extends OperationOptions {
  /** Of the terminal that it is shown on. */
  consoleSize?: { width: number; height: number } | undefined;
  /** Told what is done in another way than usual. */
  onWarning?: ((line: string) => void) | undefined;
  /** Called when it is created, and its program does not run yet: what it prints is lost to nobody. */
  onCreated?: ((first: ProcessIdentity) => Promise<void> | void) | undefined;
}

/**
 * Starts a container, for the first time or again; it goes on by itself. A start that fails, or is killed, leaves a
 * container that does not run. @throws IMGBOOT_ALREADY_RUNNING and what {@link startMonitor} throws
 */
export async function startContainer(
  store: Store,
  container: Container,
  options: StartOptions = {},
): Promise<void> {
  const { record, paths } = container;
  const [runtime, monitor] = await Promise.all([chooseRuntime(), findMonitor()]);
  using _lock = await FileLock.acquire(paths.lock, 'exclusive', { signal: options.signal });
  if (isRunning(paths))
    throw new ImgbootError('IMGBOOT_ALREADY_RUNNING', `the container ${record.name} runs already`, {
      hint: `imgboot attach ${record.name} shows it`,
    });
  if (existsSync(paths.run)) await cleanUp(store, container);
  for (const path of [paths.start, paths.exit, paths.oom]) removeTree(path);
  mkdirSync(paths.run, { mode: 0o700 });
  try {
    const volumes = await prepareVolumes(store, container, options);
    const init = record.security.init ? await findInit() : undefined;
    using _cgroups = await lockCgroups();
    writePrivateFiles(container);
    const job: StartJob = {
      store: store.paths.root,
      id: record.id,
      runtime,
      monitor,
      sources: { volumes, init },
      consoleSize: options.consoleSize,
    };
    const pid = await runIsolated<StartJob, number>(startJobModule, job, {
      ...startIsolation,
      signal: options.signal,
      onLine: options.onWarning,
    });
    const first = identifyProcess(pid);
    if (first === undefined)
      throw new ImgbootError(
        'IMGBOOT_RUNTIME_FAILED',
        `the container ${record.name} ended before it was started`,
      );
    if (hasNetworks(record)) {
      // Not loaded where there are none: that takes as long as all else here.
      const { attachContainer } = await import('./attach-container.ts');
      await attachContainer(store, container, { pid, ...options });
    }
    await options.onCreated?.(first);
    // From here on it is the program that is to end, not the start.
    const started = await runCommand(runtime.program, [...runtimeArguments(paths), 'start', record.id], {
      okStatuses: [0, 1, 2, 255],
    });
    if (started.exitCode !== 0)
      throw explainRuntimeFailure(started.stderr, { runtime, command: record.args[0] ?? '' });
    const start: StartRecord = { process: first, startedAt: new Date().toISOString() };
    publish(paths.start, JSON.stringify(start), record);
  } catch (error) {
    await cleanUp(store, container);
    throw error;
  }
}
