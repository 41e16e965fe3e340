import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ImgbootError, type ErrorCode } from '../errors.ts';
import type { OperationOptions, Progress, ProgressEvent } from './progress.ts';

/** What a job module exports: work that runs in a process and mount namespace of its own. */
export interface JobModule<Job, Result> {
  runJob(job: Job, context: JobContext): Promise<Result>;
}

export interface JobContext {
  progress: Progress;
  /** A line of the work's own output, for whoever listens. */
  say: (line: string) => void;
}

export interface IsolationOptions extends OperationOptions {
  /** Where the job's standard output goes; to standard error when undefined. */
  stdout?: 'inherit';
  /** Gets the lines that the job says. */
  onLine?: ((line: string) => void) | undefined;
  /** A PID namespace, too: whatever processes the job starts, they end with it. */
  ownProcesses?: boolean;
  /** The job may read from our terminal. */
  terminal?: boolean;
  /** `slave`: what the host mounts and unmounts, it sees: for what stays. Private by default. */
  propagation?: 'private' | 'slave';
}

export type JobMessage =
  | { kind: 'progress'; event: ProgressEvent }
  | { kind: 'line'; line: string }
  | { kind: 'result'; result: unknown }
  | {
      kind: 'error';
      code: ErrorCode | undefined;
      message: string;
      hint: string | undefined;
      stack: string | undefined;
    };

/** How long a job that does not look at its messages may take to notice that it is to end. */
const ABORT_GRACE_MS = 5_000;
/** How long the last message of a process that has ended is waited for. */
const LAST_MESSAGE_MS = 5_000;
const SIGNAL_GRACE_MS = 100;

/**
 * Runs `runJob` of a module in a child process with a private mount namespace: what it mounts, nobody else sees,
 * and the kernel unmounts it when the child ends, however it ends. The child dies with this process.
 * `job` and the result must survive structured cloning. What the child prints goes to standard error, or with
 * `stdout: 'inherit'` to standard output. Needs root.
 *
 * @param module the job module's URL: `import.meta.resolve('./x.job.ts')` has the wrong ending once built,
 *   use {@link jobModule}
 * @throws the job's own error, with its code and hint
 */
export async function runIsolated<Job, Result>(
  module: URL,
  job: Job,
  options: IsolationOptions = {},
): Promise<Result> {
  options.signal?.throwIfAborted();
  const child = takePrepared(module, options) ?? startChild(module, options);
  const abort = (): void => {
    // A namespace's first process that ends by itself takes all others along before it is gone.
    if (options.ownProcesses === true && child.connected) {
      child.disconnect();
      setTimeout(() => child.kill('SIGKILL'), ABORT_GRACE_MS).unref();
    } else child.kill('SIGKILL');
  };
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    return await new Promise<Result>((resolve, reject) => {
      let settled = false;
      child.on('message', (message: JobMessage) => {
        if (message.kind === 'progress') options.progress?.(message.event);
        else if (message.kind === 'line') options.onLine?.(message.line);
        else if (message.kind === 'result') {
          settled = true;
          resolve(message.result as Result);
        } else {
          settled = true;
          reject(jobError(message));
        }
      });
      child.on('error', (cause) => {
        reject(
          new ImgbootError('IMGBOOT_ISOLATION_FAILED', `cannot start unshare: ${cause.message}`, { cause }),
        );
      });
      child.on('exit', (status, signal) => {
        const conclude = (): void => {
          if (settled) return;
          settled = true;
          if (options.signal?.aborted) reject(options.signal.reason as Error);
          else {
            reject(
              new ImgbootError(
                'IMGBOOT_ISOLATION_FAILED',
                `the process that worked in a mount namespace of its own ended early (${signal ?? `exit status ${status}`})`,
                { hint: 'its own message, if it had one, is above; making a mount namespace needs root' },
              ),
            );
          }
        };
        // Ctrl-C reaches the child at the same time as us; who hears of it first is chance.
        if (signal === 'SIGINT') setTimeout(conclude, SIGNAL_GRACE_MS);
        // Its last message may not have been read yet.
        else if (!child.connected) setImmediate(conclude);
        else {
          child.once('disconnect', conclude);
          setTimeout(conclude, LAST_MESSAGE_MS).unref();
        }
      });
      child.send({ job });
    });
  } finally {
    options.signal?.removeEventListener('abort', abort);
    await ended(child);
  }
}

/** A process that waits for its job, and what it was started for. */
let prepared: { child: ChildProcess; module: string; options: string } | undefined;

/**
 * Starts the process for a job before anybody knows what the job is, so that it is ready by then: the next
 * {@link runIsolated} of that module with the same options takes it. Without one, it ends with this process.
 */
export function prepareIsolated(module: URL, options: ChildOptions = {}): void {
  const child = startChild(module, options);
  // What it was for may never come.
  child.on('error', () => {});
  child.unref();
  child.channel?.unref();
  prepared = { child, module: module.href, options: JSON.stringify(childOptions(options)) };
}

function takePrepared(module: URL, options: ChildOptions): ChildProcess | undefined {
  if (prepared?.module !== module.href || prepared.options !== JSON.stringify(childOptions(options)))
    return undefined;
  const { child } = prepared;
  prepared = undefined;
  if (child.exitCode !== null || child.signalCode !== null || !child.connected) return undefined;
  child.removeAllListeners('error');
  child.ref();
  child.channel?.ref();
  return child;
}

type ChildOptions = Pick<IsolationOptions, 'stdout' | 'ownProcesses' | 'terminal' | 'propagation'>;

function childOptions({ stdout, ownProcesses, terminal, propagation }: ChildOptions): ChildOptions {
  return {
    ...(stdout === undefined ? {} : { stdout }),
    ...(ownProcesses === undefined ? {} : { ownProcesses }),
    ...(terminal === undefined ? {} : { terminal }),
    ...(propagation === undefined ? {} : { propagation }),
  };
}

function startChild(module: URL, options: ChildOptions): ChildProcess {
  const runner = fileURLToPath(jobModule(import.meta.url, 'isolate-child'));
  // The job is the process that setpriv becomes, or its child: the kernel ends either with us.
  return spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'unshare',
      '--mount',
      ...(options.ownProcesses === true ? ['--pid', '--fork', '--kill-child', '--mount-proc'] : []),
      '--propagation',
      options.propagation ?? 'private',
      '--',
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      runner,
      module.href,
      // In a PID namespace of its own, the child cannot see who its parent is.
      ...(options.ownProcesses === true ? [] : [String(process.pid)]),
    ],
    {
      stdio: [options.terminal === true ? 'inherit' : 'ignore', options.stdout ?? 2, 2, 'ipc'],
      serialization: 'advanced',
    },
  );
}

/** The URL of a module beside the caller's, whether the sources or the built files run. */
export function jobModule(callerUrl: string, name: string): URL {
  return new URL(`./${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl);
}

function jobError(message: JobMessage & { kind: 'error' }): Error {
  const error = new ImgbootError(message.code ?? 'IMGBOOT_INTERNAL', message.message, { hint: message.hint });
  if (message.stack !== undefined) error.stack = message.stack;
  return error;
}

/** Waits until the child is gone, so that its mounts are, too. */
async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once('exit', resolve));
}
