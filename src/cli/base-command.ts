import { Command } from '@oclif/core/command';
import { Flags } from './oclif.ts';
import type { Input, ParserOutput } from '@oclif/core/interfaces';
import { ImgbootError } from '../errors.ts';
import { explainNoSpace } from '../system/no-space.ts';
import type { Progress } from '../system/progress.ts';
import { restartWithWritable } from '../system/writable-mount.ts';
import { exitStatusOf } from './exit-status.ts';
import { createReporter, type Reporter } from './reporter.ts';

/** As oclif has it. */
// oxlint-disable-next-line typescript/no-explicit-any
type Values = Record<string, any>;

/** The `--store` flag of every command that works on a store. */
export const storeFlag = {
  store: Flags.directory({
    summary: 'where the images are kept',
    env: 'IMGBOOT_STORE',
    default: '/var/lib/imgboot',
    helpGroup: 'GLOBAL',
  }),
};

/** The commands that only read their store: they can do with one that is shown read-only. */
const readers = new Set([
  'boots',
  'boots:show',
  'deployment:diff',
  'deployment:inspect',
  'deployment:ls',
  'history',
  'image:diff',
  'images',
  'inspect',
  'logs',
  'network:inspect',
  'network:ls',
  'ps',
  'status',
  'volume:inspect',
  'volume:ls',
  'why',
]);

/**
 * What all commands share: results on stdout, talk on stderr, one form of error, exit statuses, and signals that
 * let the work clean up. A command's `run` returns its result, which is what `--json` prints.
 */
export abstract class ImgbootCommand extends Command {
  readonly #abort = new AbortController();
  readonly #listeners: (() => void)[] = [];
  #reporter: Reporter | undefined;

  /** Aborted by SIGINT, SIGTERM and SIGHUP; every long call takes it. */
  protected get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Shows what a long operation is doing, on stderr. */
  protected get progress(): Progress {
    this.#reporter ??= createReporter(process.stderr);
    return this.#reporter.report;
  }

  /** A line for the user beside the result: on stderr, so that a pipe gets results only. */
  protected tell(line: string): void {
    this.#reporter?.clear();
    process.stderr.write(`${line}\n`);
  }

  /** A line of the result. */
  override log(message?: string): void {
    this.#reporter?.clear();
    super.log(message);
  }

  /** The positional arguments of a command that takes one or more. @throws IMGBOOT_USAGE */
  protected requireNames(argv: readonly unknown[]): string[] {
    if (argv.length > 0) return argv as string[];
    throw new ImgbootError('IMGBOOT_USAGE', 'name at least one', { hint: `imgboot ${this.id} --help` });
  }

  /** A switch that was not given is false, as its type says; oclif leaves it undefined. */
  protected override async parse<F extends Values, B extends Values, A extends Values>(
    options?: Input<F, B, A>,
    argv?: string[],
  ): Promise<ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv);
    const flags: Record<string, unknown> = parsed.flags;
    for (const [name, flag] of Object.entries(options?.flags ?? {})) {
      if (flag.type === 'boolean') flags[name] ??= false;
    }
    // In a booted deployment, the store is shown read-only.
    const { store } = flags;
    if (typeof store === 'string' && !readers.has(this.id ?? '')) restartWithWritable(store);
    return parsed;
  }

  override async init(): Promise<void> {
    await super.init();
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const listener = (): void => this.#abort.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
      process.on(name, listener);
      this.#listeners.push(() => process.off(name, listener));
    }
  }

  /** From now on signals are somebody else's: they abort nothing. */
  protected leaveSignals(): void {
    for (const remove of this.#listeners.splice(0)) remove();
  }

  /** The exit status for an error. */
  protected statusOf(error: unknown): number {
    return exitStatusOf(error);
  }

  protected override async finally(error: Error | undefined): Promise<unknown> {
    this.#reporter?.close();
    return super.finally(error);
  }

  /** Prints the error once, in the one form, and ends with its status. */
  protected override async catch(thrown: Error): Promise<void> {
    // oclif's own exit() is an exception without words.
    if ('oclif' in thrown && (thrown as { code?: string }).code === 'EEXIT') throw thrown;
    const error = explainNoSpace(thrown, 'what the command writes') as Error;
    this.#reporter?.close();
    const status = this.statusOf(error);
    const hint = error instanceof ImgbootError ? error.hint : undefined;
    if (this.jsonEnabled()) {
      const code = error instanceof ImgbootError ? error.code : undefined;
      process.stdout.write(`${JSON.stringify({ error: { code, message: error.message, hint } }, null, 2)}\n`);
    }
    process.stderr.write(`imgboot: ${error.message}\n`);
    if (hint !== undefined) process.stderr.write(`  ${hint}\n`);
    if (process.env['IMGBOOT_DEBUG'] !== undefined) process.stderr.write(`${error.stack}\n`);
    process.exitCode = status;
    this.exit(status);
  }
}

/** Refuses, before anything is done, what only root can do. */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new ImgbootError('IMGBOOT_NEEDS_ROOT', `${what} needs root`, {
    hint: `sudo imgboot ${process.argv.slice(2).join(' ')}`,
  });
}
