import { StringDecoder } from 'node:string_decoder';
import { ImgbootError } from '../errors.ts';

export interface ExpectOptions {
  timeoutMs: number;
  /** Text that means that the expected will not come: fails at once. */
  unless?: string | RegExp | undefined;
  signal?: AbortSignal | undefined;
}

interface Waiter {
  pattern: string | RegExp;
  /** Looks at the text that is there; true when it has settled. */
  look(): boolean;
  fail(error: Error): void;
}

/** A terminal's control sequences (ECMA-48 CSI, OSC, and two-character escapes). */
// oxlint-disable-next-line no-control-regex
const controlSequences = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[=>78DEHM])/g;
/** A sequence whose end has not arrived yet. */
// oxlint-disable-next-line no-control-regex
const unfinishedSequence = /\x1b[^\x1b]{0,200}$/;

/** How many of the last lines an error shows. */
const SHOWN_LINES = 25;

/**
 * What a machine's serial console printed, as plain text (control sequences and carriage returns removed), and
 * the means to wait for a part of it. Each expectation begins where the one before it matched, so that
 * two expectations of `login:` see two logins.
 */
export class Console {
  #text = '';
  #position = 0;
  #pending = '';
  #ended: string | undefined;
  readonly #decoder = new StringDecoder('utf8');
  readonly #waiters = new Set<Waiter>();

  /** Everything so far. */
  get text(): string {
    return this.#text;
  }

  /** Why nothing more will come; undefined while it may. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Takes the next bytes of the console. */
  append(bytes: Uint8Array): void {
    const raw = this.#pending + this.#decoder.write(bytes);
    const whole = raw.replace(controlSequences, '');
    this.#pending = unfinishedSequence.exec(whole)?.[0] ?? '';
    this.#text += whole.slice(0, whole.length - this.#pending.length).replaceAll('\r', '');
    for (const waiter of this.#waiters) {
      if (waiter.look()) this.#waiters.delete(waiter);
    }
  }

  /** Nothing more will come; `why` stands in brackets after "the machine ended". */
  end(why: string): void {
    this.#ended = why;
    for (const waiter of this.#waiters) waiter.fail(this.#endedError(waiter.pattern));
    this.#waiters.clear();
  }

  /**
   * Waits until the console prints `pattern` and returns what matched it.
   * @throws IMGBOOT_CONSOLE_TIMEOUT, IMGBOOT_CONSOLE_UNEXPECTED and IMGBOOT_MACHINE_ENDED, each with the
   *   console's last lines
   */
  async expect(pattern: string | RegExp, options: ExpectOptions): Promise<string> {
    options.signal?.throwIfAborted();
    return new Promise<string>((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
        this.#waiters.delete(waiter);
        act();
      };
      const waiter: Waiter = {
        pattern,
        look: () => {
          const found = find(this.#text, pattern, this.#position);
          const bad =
            options.unless === undefined ? undefined : find(this.#text, options.unless, this.#position);
          if (bad !== undefined && (found === undefined || bad.start < found.start)) {
            settle(() => reject(this.#unexpectedError(pattern, bad.text)));
            return true;
          }
          if (found === undefined) return false;
          this.#position = found.end;
          settle(() => resolve(found.text));
          return true;
        },
        fail: (error) => settle(() => reject(error)),
      };
      const abort = (): void => waiter.fail(options.signal?.reason as Error);
      const timer = setTimeout(
        () =>
          waiter.fail(this.timeoutError(`the console did not print ${quote(pattern)}`, options.timeoutMs)),
        options.timeoutMs,
      );
      options.signal?.addEventListener('abort', abort, { once: true });
      if (waiter.look()) return;
      if (this.#ended === undefined) this.#waiters.add(waiter);
      else waiter.fail(this.#endedError(pattern));
    });
  }

  /** The error for `what` (a sentence without its end) that did not happen in time. */
  timeoutError(what: string, timeoutMs: number): ImgbootError {
    return new ImgbootError(
      'IMGBOOT_CONSOLE_TIMEOUT',
      `${what} within ${timeoutMs / 1000} s; the console's last lines:\n${this.lastLines()}`,
    );
  }

  #unexpectedError(pattern: string | RegExp, text: string): ImgbootError {
    return new ImgbootError(
      'IMGBOOT_CONSOLE_UNEXPECTED',
      `the console printed ${quote(text)} before ${quote(pattern)}\n${this.lastLines()}`,
    );
  }

  #endedError(pattern: string | RegExp): ImgbootError {
    return new ImgbootError(
      'IMGBOOT_MACHINE_ENDED',
      `the machine ended (${this.#ended}) before its console printed ${quote(pattern)}\n${this.lastLines()}`,
    );
  }

  /** The console's end, for a message. */
  lastLines(count = SHOWN_LINES): string {
    const lines = withoutRepeats(this.#text.trimEnd().split('\n')).slice(-count);
    return lines.length === 1 && lines[0] === ''
      ? '  (the console printed nothing)'
      : lines.map((line) => `  | ${line}`).join('\n');
  }
}

/** While systemd waits, it draws the same line again and again. */
function withoutRepeats(lines: readonly string[]): string[] {
  const isWaiting = (line: string | undefined): boolean => /^\[[ *]{6}\] /.test(line ?? '');
  return lines.filter((line, index) => !isWaiting(line) || !isWaiting(lines[index + 1]));
}

interface Found {
  text: string;
  start: number;
  end: number;
}

function find(text: string, pattern: string | RegExp, from: number): Found | undefined {
  if (typeof pattern === 'string') {
    const start = text.indexOf(pattern, from);
    return start === -1 ? undefined : { text: pattern, start, end: start + pattern.length };
  }
  const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).exec(text.slice(from));
  if (match === null) return undefined;
  const start = from + match.index;
  return { text: match[0], start, end: start + match[0].length };
}

function quote(pattern: string | RegExp): string {
  return typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern);
}
