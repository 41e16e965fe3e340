import { spawn } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { commandFailure } from './exec.ts';

export interface StartOptions {
  /** `pipe` gives the streams to the caller, `inherit` leaves them with our own terminal. */
  stdin: 'pipe' | 'inherit' | 'ignore';
  stdout: 'pipe' | 'inherit';
  /** What the kernel sends the program when this process ends before it; SIGKILL by default. */
  deathSignal?: 'TERM' | 'KILL' | undefined;
  cwd?: string | undefined;
  /** A connected socket as the program's descriptor 3, whose other end is `channel`. */
  channel?: true | undefined;
}

export interface ExitResult {
  exitCode: number | undefined;
  signal: string | undefined;
  /** The end of what the program wrote to its standard error. */
  stderr: string;
}

/** A program that runs beside us. It never outlives this process. */
export interface RunningProcess {
  readonly pid: number;
  /** Present where `pipe` was asked for. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable;
  readonly channel: Duplex | undefined;
  /** Settles when the program is gone and its streams are read to their end; never rejects. */
  readonly exited: Promise<ExitResult>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** As much of standard error as a message may need. */
const KEPT_STDERR_CHARACTERS = 16_384;

/**
 * Starts a program and returns while it runs. setpriv asks the kernel for the death signal, so that not even
 * SIGKILL on us leaves it behind.
 * @throws CommandFailed where it cannot be started
 */
export async function startProcess(
  file: string,
  args: readonly string[],
  options: StartOptions,
): Promise<RunningProcess> {
  const child = spawn('setpriv', ['--pdeathsig', options.deathSignal ?? 'KILL', '--', file, ...args], {
    stdio: [options.stdin, options.stdout, 'pipe', ...(options.channel === true ? (['pipe'] as const) : [])],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  // A program that ends while we write to it is an exit, told below, and no stream error.
  child.stdin?.on('error', () => {});
  // Node makes such a pipe of a pair of sockets.
  const channel = (child.stdio[3] ?? undefined) as Duplex | undefined;
  channel?.on('error', () => {});
  const exited = new Promise<ExitResult>((resolve) => {
    child.once('close', (exitCode, signal) =>
      resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined, stderr }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(commandFailure(['setpriv', file, ...args], { stderr: '', code: cause.code })),
    );
  });
  return {
    pid: child.pid!,
    stdin: child.stdin ?? undefined,
    stdout: child.stdout ?? undefined,
    stderr: child.stderr!,
    channel,
    exited,
    kill: (signal) => void child.kill(signal),
  };
}
