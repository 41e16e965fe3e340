import { appendFileSync, existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { ImgbootError, errnoOf } from '../errors.ts';
import { PacketSocket } from '../system/packet-socket.ts';
import { rawTerminal } from '../system/terminal.ts';
import { DetachKeys } from './detach-keys.ts';
import type { Container } from './record.ts';

/** The first byte of a packet from conmon says which stream it is of. conmon, src/utils.h: stdpipe_t */
const STDERR_PIPE = 3;
/** conmon, src/config.h: STDIO_BUF_SIZE, and the byte before it. */
const PACKET_BYTES = 8192 + 1;
/** conmon, src/config.h: WIN_RESIZE_EVENT */
const WIN_RESIZE_EVENT = 1;

/** What a monitor serves: a container's first process, or one that was started in it. */
export interface AttachTarget {
  /** For messages. */
  name: string;
  socket: string;
  /** The fifo that takes the size of the terminal. */
  control: string;
  terminal: boolean;
  stdin: boolean;
}

/** The first process of a container. */
export function containerTarget({ record, paths }: Container): AttachTarget {
  const { name, terminal, stdin } = record;
  return { name, socket: paths.attachSocket, control: paths.control, terminal, stdin };
}

export interface AttachStreams {
  /** Passed on where the container has a standard input; undefined for nothing. */
  stdin: NodeJS.ReadStream | undefined;
  stdout: Writable;
  stderr: Writable;
}

/** How a connection to a container came to its end. */
export type AttachEnd = 'ended' | 'detached' | 'broken-pipe';

/**
 * The streams of a running container joined to ours. With a terminal, ours is in raw mode meanwhile, its size is passed
 * on, and ctrl-p ctrl-q detaches. Dispose it.
 */
export class Attachment implements AsyncDisposable {
  /** Settles when the container closes its output, the user detaches, or nobody reads what we write. */
  readonly end: Promise<AttachEnd>;
  readonly #socket: PacketSocket;
  readonly #target: AttachTarget;
  readonly #streams: AttachStreams;
  readonly #undo: (() => void)[] = [];
  #finish!: (end: AttachEnd) => void;
  #fail!: (error: unknown) => void;
  #closed = false;

  private constructor(target: AttachTarget, socket: PacketSocket, streams: AttachStreams) {
    this.#target = target;
    this.#socket = socket;
    this.#streams = streams;
    this.end = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // Whoever awaits it hears of it; a failure before that must not end the process.
    this.end.catch(() => {});
  }

  /** @throws IMGBOOT_CANNOT_ATTACH */
  static open(target: AttachTarget, streams: AttachStreams): Attachment {
    let socket: PacketSocket;
    try {
      socket = PacketSocket.connect(target.socket);
    } catch (cause) {
      throw new ImgbootError('IMGBOOT_CANNOT_ATTACH', `cannot connect to ${target.name}`, {
        cause,
        hint: 'it may have just ended; imgboot ps --all tells',
      });
    }
    const attachment = new Attachment(target, socket, streams);
    attachment.#watchStreams();
    void attachment.#readOutput();
    if (streams.stdin !== undefined && target.stdin) attachment.#passInput(streams.stdin);
    if (target.terminal) attachment.#passSize();
    return attachment;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const undo of this.#undo.splice(0).toReversed()) undo();
    await this.#socket[Symbol.asyncDispose]();
  }

  async #readOutput(): Promise<void> {
    const buffer = Buffer.allocUnsafe(PACKET_BYTES);
    try {
      for (;;) {
        const size = await this.#socket.read(buffer);
        if (size === 0) break;
        const stream = buffer[0] === STDERR_PIPE ? this.#streams.stderr : this.#streams.stdout;
        await new Promise<void>((resolve) => {
          stream.write(Buffer.from(buffer.subarray(1, size)), () => resolve());
        });
      }
      this.#finish('ended');
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A reader of ours that went away is no failure of the container. */
  #watchStreams(): void {
    for (const stream of [this.#streams.stdout, this.#streams.stderr]) {
      const onError = (error: Error): void => {
        if (errnoOf(error) === 'EPIPE') this.#finish('broken-pipe');
        else this.#fail(error);
      };
      stream.on('error', onError);
      // Not taken off again: a write under way may fail later.
    }
  }

  #passInput(stdin: NodeJS.ReadStream): void {
    const { terminal } = this.#target;
    const keys = terminal && stdin.isTTY ? new DetachKeys() : undefined;
    if (keys !== undefined) {
      const raw = rawTerminal(0);
      this.#undo.push(() => raw[Symbol.dispose]());
    }
    // One chunk at a time: a container that does not read stops us from reading.
    let sending: Promise<void> | undefined;
    const send = async (bytes: Buffer): Promise<void> => {
      stdin.pause();
      let taken = true;
      for (let done = 0; taken && done < bytes.length; done += PACKET_BYTES - 1)
        taken = await this.#socket.write(bytes.subarray(done, done + PACKET_BYTES - 1));
      if (taken && !this.#closed) stdin.resume();
    };
    const onData = (bytes: Buffer): void => {
      const typed = keys?.take(bytes) ?? { pass: bytes, detached: false };
      sending = send(typed.pass);
      sending.catch((error: unknown) => this.#fail(error));
      if (typed.detached) this.#finish('detached');
    };
    const onEnd = async (): Promise<void> => {
      await sending;
      this.#socket.endWriting();
    };
    const ended = (): void => void onEnd();
    stdin.on('data', onData).on('end', ended);
    stdin.resume();
    this.#undo.push(() => {
      stdin.off('data', onData).off('end', ended);
      stdin.pause();
    });
  }

  #passSize(): void {
    const { stdout } = this.#streams;
    if (!isTerminal(stdout)) return;
    const pass = (): void => {
      const [columns, rows] = stdout.getWindowSize();
      if (existsSync(this.#target.control))
        appendFileSync(this.#target.control, `${WIN_RESIZE_EVENT} ${rows} ${columns}\n`);
    };
    pass();
    stdout.on('resize', pass);
    this.#undo.push(() => stdout.off('resize', pass));
  }
}

function isTerminal(stream: Writable): stream is NodeJS.WriteStream {
  return 'isTTY' in stream && stream.isTTY === true;
}
