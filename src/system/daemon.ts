import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { commandFailure } from './exec.ts';

/** The first descriptor that a daemon talks with us by. */
export const FIRST_PIPE = 3;

/**
 * A program that goes on by itself in the background, and the pipes that it talks with us by meanwhile: numbered from
 * 0, its descriptors from {@link FIRST_PIPE} on. It outlives this process, and keeps this process's mount namespace.
 * Disposal ends the talk only.
 */
export class Daemon implements Disposable {
  readonly #child: ChildProcess;
  readonly #command: readonly string[];
  readonly #pipes: readonly Duplex[];
  readonly #lines: readonly AsyncIterator<string>[];
  readonly #ended: Promise<number | undefined>;
  #stderr = '';

  /** @param pipes how many */
  constructor(command: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv; pipes: number }) {
    const [file = '', ...args] = command;
    this.#command = command;
    const { cwd, env } = options;
    const pipes = Array.from({ length: options.pipes }, () => 'pipe' as const);
    this.#child = spawn(file, args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe', ...pipes] });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#pipes = this.#child.stdio.slice(FIRST_PIPE) as Duplex[];
    // What it does not read, or closes, shows in its lines and its end.
    for (const pipe of this.#pipes) pipe.on('error', () => {});
    this.#lines = this.#pipes.map((input) => createInterface({ input })[Symbol.asyncIterator]());
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', (exitCode) => resolve(exitCode ?? undefined));
      this.#child.once('error', () => resolve(undefined));
    });
  }

  /** The next line of a pipe. @throws CommandFailed where there is none any more */
  async line(pipe: number): Promise<string> {
    const next = await this.#lines[pipe]!.next();
    if (next.done !== true) return next.value;
    const exitCode = await this.#ended;
    throw commandFailure(this.#command, { exitCode, stderr: this.#stderr });
  }

  write(pipe: number, text: string): void {
    this.#pipes[pipe]!.write(text);
  }

  [Symbol.dispose](): void {
    for (const pipe of this.#pipes) pipe.destroy();
    this.#child.stderr!.destroy();
    this.#child.unref();
  }
}
