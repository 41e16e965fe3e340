import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { commandFailure } from './exec.ts';

/** The descriptor on which a daemon reports. */
export const REPORT_DESCRIPTOR = 3;

/**
 * Starts a program that goes on by itself in the background, and waits until it has written a line to its
 * descriptor {@link REPORT_DESCRIPTOR}. It outlives this process, and keeps this process's mount namespace.
 * @returns the line
 * @throws CommandFailed where it ends without a line
 */
export async function startDaemon(
  file: string,
  args: readonly string[],
  { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<string> {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const report = child.stdio[REPORT_DESCRIPTOR] as Readable;
  const exited = new Promise<number | undefined>((resolve) => {
    child.once('exit', (exitCode) => resolve(exitCode ?? undefined));
  });
  const line = await new Promise<string | undefined>((resolve, reject) => {
    let text = '';
    report.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    report.once('close', () => resolve(undefined));
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(commandFailure([file, ...args], { stderr: '', code: cause.code })),
    );
  });
  // Whoever we are to end with must not wait for what the daemon never closes.
  report.destroy();
  child.stderr!.destroy();
  if (line !== undefined) return line;
  throw commandFailure([file, ...args], { exitCode: await exited, stderr });
}
