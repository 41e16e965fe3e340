import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { execa, type Options } from 'execa';
import { repository } from './paths.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

export interface RunCliOptions {
  /** Bytes or text for standard input, or a file to read it from; none by default. */
  input?: string | Uint8Array | undefined;
  inputFile?: string | undefined;
  env?: Record<string, string> | undefined;
  cwd?: string | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Tells the peak memory of the largest process of the command. */
  measure?: boolean | undefined;
}

export interface CliResult {
  stdout: string;
  stderr: string;
  /** 128 and the signal's number for a command that a signal ended, as a shell has it. */
  exitCode: number;
  /** With `measure` only. */
  peakMemoryBytes?: number;
}

/** Runs the clone's `bin/imgboot` to its end. A status other than 0 is a result, no error. */
export async function runCli(args: readonly string[], options: RunCliOptions = {}): Promise<CliResult> {
  return run([path.join(repository, 'bin/imgboot'), ...args], options);
}

/**
 * The same as a user without privileges. The clone need not be readable to others: it is seen, in a mount namespace
 * of the command's own, at a place where all may read it.
 */
export async function runCliAsNobody(
  args: readonly string[],
  options: RunCliOptions = {},
): Promise<CliResult> {
  await using place = await TemporaryDirectory.create();
  await chmod(place.path, 0o755);
  const script =
    'mount --bind "$1" "$2"; cd "$2"; shift 2; exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"';
  const seen = path.join(place.path, 'clone');
  await mkdir(seen);
  const isolated = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh'];
  return await run([...isolated, repository, seen, path.join(seen, 'bin/imgboot'), ...args], options);
}

async function run(command: readonly string[], options: RunCliOptions): Promise<CliResult> {
  const settings: Options = {
    reject: false,
    stripFinalNewline: false,
    timeout: options.timeoutMs ?? 120_000,
    forceKillAfterDelay: 5_000,
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.inputFile === undefined ? {} : { inputFile: options.inputFile }),
    ...(options.input === undefined && options.inputFile === undefined ? { stdin: 'ignore' as const } : {}),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  };
  const [file = '', ...rest] =
    options.measure === true ? ['/usr/bin/time', '-f', '%M kB', ...command] : command;
  const result = await execa(file, rest, settings);
  if (result.timedOut) throw new Error(`${command.join(' ')} timed out\n${String(result.stderr)}`);
  return {
    stdout: String(result.stdout ?? ''),
    stderr: String(result.stderr ?? ''),
    exitCode: result.exitCode ?? (result.signal === 'SIGKILL' ? 137 : 143),
    ...(options.measure === true ? { peakMemoryBytes: peakMemory(String(result.stderr)) } : {}),
  };
}

/** time(1) counts in units of 1024 bytes. */
function peakMemory(stderr: string): number {
  return Number(/([0-9]+) kB\s*$/.exec(stderr)?.[1]) * 1024;
}

/** The same, where anything but success is a failure of the test. Returns standard output. */
export async function runCliOk(args: readonly string[], options: RunCliOptions = {}): Promise<string> {
  const result = await runCli(args, options);
  if (result.exitCode !== 0) {
    throw new Error(`imgboot ${args.join(' ')} ended with status ${result.exitCode}:\n${result.stderr}`);
  }
  return result.stdout;
}
