import type { Options } from 'execa';
import { CommandFailed } from '../errors.ts';

export interface RunOptions {
  /** Bytes or text for the program's standard input; none is given otherwise. */
  input?: string | Uint8Array | undefined;
  cwd?: string | undefined;
  env?: Record<string, string> | undefined;
  /** Ends the program (SIGTERM, then SIGKILL after 5 s) when aborted. */
  signal?: AbortSignal | undefined;
  /** Exit statuses that are not a failure; `[0]` by default. */
  okStatuses?: readonly number[] | undefined;
  /** Its standard output goes into a file, or to our own, instead of the result. */
  outputTo?: { file: string } | 'inherit' | undefined;
  /** Show the program's own output on our standard error while it runs. */
  showOutput?: boolean | undefined;
}

const SIGNAL_GRACE_MS = 100;

export interface RunResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/**
 * Runs a program to its end and returns what it printed. No shell is involved. The program never outlives this
 * process: setpriv asks the kernel for that.
 * @throws CommandFailed with the last lines of its standard error; a program that is not installed says how to get it.
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const settings: Options = {
    reject: false,
    stripFinalNewline: true,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    ...(options.outputTo === undefined ? {} : { stdout: options.outputTo }),
    ...(options.showOutput ? { stdout: ['pipe', 2], stderr: ['pipe', 2] } : {}),
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  };
  // Loaded by the first program that is started: its many files are a third of what a small command takes.
  const { execa } = await import('execa');
  const result = await execa('setpriv', ['--pdeathsig', 'KILL', '--', file, ...args], settings);
  const stdout = String(result.stdout ?? '');
  const stderr = String(result.stderr ?? '');
  options.signal?.throwIfAborted();
  if (result.exitCode !== undefined && (options.okStatuses ?? [0]).includes(result.exitCode)) {
    return { stdout, stderr, exitCode: result.exitCode };
  }
  // Ctrl-C reaches the program at the same time as us; who hears of it first is chance.
  if (result.signal === 'SIGINT') await new Promise((resolve) => setTimeout(resolve, SIGNAL_GRACE_MS));
  options.signal?.throwIfAborted();
  const { exitCode, signal } = result;
  // What setpriv ends with where there is no such program.
  const code = exitCode === 127 ? 'ENOENT' : result.code;
  throw commandFailure([file, ...args], { exitCode, signal, code, stderr });
}

/** The error for a program that ended badly, in one form for all callers. */
export function commandFailure(
  command: readonly string[],
  result: {
    exitCode?: number | undefined;
    signal?: string | undefined;
    stderr: string;
    code?: string | undefined;
  },
): CommandFailed {
  const file = command[0] ?? '';
  if (result.code === 'ENOENT') {
    return new CommandFailed({
      command,
      stderr: '',
      message: `${file} is not installed`,
      hint: 'imgboot doctor names what is missing and the command that installs it',
    });
  }
  const how = result.signal === undefined ? `exit status ${result.exitCode}` : `signal ${result.signal}`;
  const words = lastLines(result.stderr, 5);
  return new CommandFailed({
    command,
    exitCode: result.exitCode,
    stderr: result.stderr,
    message: `${file} failed (${how})${words === '' ? '' : `: ${words}`}`,
  });
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
