import type { Duplex } from 'node:stream';
import { ImgbootError } from '../errors.ts';

/** How a program in the guest ended. */
export interface GuestProgram {
  /** Its exit status, 128 and the signal's number; `late`: it had not ended in time, and was killed. */
  status: number | 'late';
  /** At most 1 MiB of each. */
  stdout: Buffer;
  stderr: Buffer;
}

interface Waiting {
  /** Takes what it waits for out of what there is; true when that was there. */
  look(): boolean;
  fail(error: Error): void;
}

/** What a program prints, twice, and then some. */
const MOST_PENDING_BYTES = 4 * 2 ** 20;
/** Bytes of a word in a line: escaped, a serial line's buffer has room for them. */
const PIECE_BYTES = 200;
/** How long an emulated guest that is busy may take beside the program itself. */
const ANSWER_MS = 60_000;

/**
 * Runs programs in a guest through the second serial port, which our initramfs serves: in the booted system, as root,
 * beside its init. One request at a time. @see hooks/own/agent for the lines
 */
export class GuestAgent {
  readonly #stream: Duplex;
  #bytes: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;
  #ended = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#waiting?.look();
      // Nobody has asked for as much.
      if (this.#bytes.length > MOST_PENDING_BYTES) stream.destroy();
    });
    stream.once('close', () => {
      this.#ended = true;
      this.#waiting?.fail(endedError());
    });
  }

  /**
   * Waits until the initramfs is done: from then on programs can be run, while the system's init waits for {@link start}
   * (half a minute at most). @throws IMGBOOT_MACHINE_ENDED, IMGBOOT_AGENT_SILENT
   */
  async ready(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<void> {
    for (;;) {
      const line = await this.#line(options);
      if (line.endsWith('imgboot agent')) return;
    }
  }

  /** Lets the system start. */
  async start(signal?: AbortSignal): Promise<void> {
    await this.#request('go', signal);
  }

  /** @throws IMGBOOT_MACHINE_ENDED, IMGBOOT_AGENT_SILENT where the guest does not answer any more */
  async run(
    words: readonly string[],
    { limitSeconds, signal }: { limitSeconds: number; signal?: AbortSignal | undefined },
  ): Promise<GuestProgram> {
    for (const word of words) {
      for (const piece of pieces(word)) await this.#request(`word ${piece}`, signal);
      await this.#request('next', signal);
    }
    this.#stream.write(`run ${limitSeconds}\n`);
    const options = { timeoutMs: limitSeconds * 1000 + ANSWER_MS, signal };
    const answer = /^ended (late|[0-9]{1,3}) ([0-9]{1,7}) ([0-9]{1,7})$/.exec(await this.#line(options));
    if (answer === null)
      throw new ImgbootError('IMGBOOT_AGENT_SILENT', 'the machine answers what makes no sense');
    const [, status, stdout, stderr] = answer;
    return {
      status: status === 'late' ? 'late' : Number(status),
      stdout: await this.#take(Number(stdout), options),
      stderr: await this.#take(Number(stderr), options),
    };
  }

  async #request(line: string, signal: AbortSignal | undefined): Promise<void> {
    this.#stream.write(`${line}\n`);
    await this.#line({ timeoutMs: ANSWER_MS, signal });
  }

  async #line(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<string> {
    const line = await this.#wait(() => {
      const end = this.#bytes.indexOf(0x0a);
      return end === -1 ? undefined : end + 1;
    }, options);
    return line.toString('latin1').trimEnd();
  }

  async #take(
    count: number,
    options: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<Buffer> {
    return await this.#wait(() => (this.#bytes.length >= count ? count : undefined), options);
  }

  /** Waits for as many bytes as `measure` says, as soon as it does. */
  async #wait(
    measure: () => number | undefined,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<Buffer> {
    signal?.throwIfAborted();
    return await new Promise<Buffer>((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#waiting = undefined;
        act();
      };
      const waiting: Waiting = {
        look: () => {
          const size = measure();
          if (size === undefined) return false;
          const taken = this.#bytes.subarray(0, size);
          this.#bytes = this.#bytes.subarray(size);
          settle(() => resolve(taken));
          return true;
        },
        fail: (error) => settle(() => reject(error)),
      };
      const abort = (): void => waiting.fail(signal?.reason as Error);
      const timer = setTimeout(() => waiting.fail(silentError(timeoutMs)), timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting = waiting;
      if (!waiting.look() && this.#ended) waiting.fail(endedError());
    });
  }
}

/** A word as printf's %b takes it, in pieces that a line has room for. */
export function pieces(word: string): string[] {
  const bytes = Buffer.from(word);
  const all: string[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    all.push(
      bytes
        .toString('latin1', at, at + PIECE_BYTES)
        .replaceAll(/[^A-Za-z0-9_./:=,+-]/g, (one) => `\\0${one.charCodeAt(0).toString(8).padStart(3, '0')}`),
    );
  }
  return all;
}

function endedError(): ImgbootError {
  return new ImgbootError('IMGBOOT_MACHINE_ENDED', 'the machine ended');
}

function silentError(timeoutMs: number): ImgbootError {
  return new ImgbootError('IMGBOOT_AGENT_SILENT', `the machine did not answer within ${timeoutMs / 1000} s`);
}
