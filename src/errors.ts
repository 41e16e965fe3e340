/** What every failure of imgboot carries: what failed on what and why (the message), and what to do (the hint). */
export interface ImgbootErrorOptions {
  /** The error underneath, kept whole. */
  cause?: unknown;
  /** What the user can do about it: a full sentence or a command. */
  hint?: string | undefined;
}

/** A stable name for one kind of failure; scripts may match on it. */
export type ErrorCode = `IMGBOOT_${string}`;

/** A failure that a user is meant to read. */
export class ImgbootError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: ImgbootErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
  }
}

/** A system call that the kernel refused. */
export class SyscallError extends ImgbootError {
  readonly syscall: string;
  /** The symbolic errno, such as `ENOSPC`. */
  readonly errno: string;
  readonly path: string | undefined;

  constructor(failure: {
    syscall: string;
    errno: string;
    reason: string;
    path?: string | undefined;
    hint?: string | undefined;
  }) {
    const on = failure.path === undefined ? '' : ` ${JSON.stringify(failure.path)}`;
    super('IMGBOOT_SYSCALL', `${failure.syscall}${on}: ${failure.reason} (${failure.errno})`, {
      hint: failure.hint,
    });
    this.syscall = failure.syscall;
    this.errno = failure.errno;
    this.path = failure.path;
  }
}

/** A program that could not be started, or ended with a status that means failure. */
export class CommandFailed extends ImgbootError {
  /** The program and its arguments, as they were given. */
  readonly command: readonly string[];
  readonly exitCode: number | undefined;
  readonly stderr: string;

  constructor(failure: {
    command: readonly string[];
    exitCode?: number | undefined;
    stderr: string;
    message: string;
    hint?: string | undefined;
    cause?: unknown;
  }) {
    super('IMGBOOT_COMMAND_FAILED', failure.message, { hint: failure.hint, cause: failure.cause });
    this.command = failure.command;
    this.exitCode = failure.exitCode;
    this.stderr = failure.stderr;
  }
}

/** The words of an error of any kind. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The kernel's symbolic name of a failed file operation (`ENOENT`), where the error carries one. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof SyscallError) return error.errno;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}
