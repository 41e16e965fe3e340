import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImgbootError } from '../errors.ts';
import type { Container } from './record.ts';
import { isRunning, readExit } from './state.ts';

/** A piece of what a container printed. */
export interface LogEntry {
  /** RFC 3339, with nanoseconds. */
  time: string;
  stream: 'stdout' | 'stderr';
  /** Without the line's end; `partial` where that was still to come. */
  text: Buffer;
  partial: boolean;
}

export interface LogOptions {
  /** Milliseconds since 1970. */
  sinceMs: number | undefined;
  untilMs: number | undefined;
  /** The last so many lines only. */
  tail: number | undefined;
  /** Goes on until the container ends. */
  follow: boolean;
  signal?: AbortSignal | undefined;
}

const POLL_MS = 50;

/** What a container printed since it was first started, and with `follow` what it prints from now on. */
export async function* readLogs(container: Container, options: LogOptions): AsyncGenerator<LogEntry> {
  const { sinceMs, untilMs } = options;
  const isAsked = ({ time }: LogEntry): boolean => {
    const ms = Date.parse(time);
    return (sinceMs === undefined || ms >= sinceMs) && (untilMs === undefined || ms <= untilMs);
  };
  if (!existsSync(container.paths.log)) return;
  const fd = openSync(container.paths.log, 'r');
  try {
    const lines = new LogLines(fd);
    const past = lines.take().filter(isAsked);
    yield* options.tail === undefined ? past : lastLines(past, options.tail);
    while (options.follow) {
      options.signal?.throwIfAborted();
      // Asked before reading: what it wrote before it ended is there then.
      const ended = hasEnded(container);
      yield* lines.take().filter(isAsked);
      if (ended) return;
      await sleep(POLL_MS, undefined, { signal: options.signal });
    }
  } finally {
    closeSync(fd);
  }
}

/** Nothing more comes once the monitor has written how it ended. */
function hasEnded({ paths }: Container): boolean {
  return readExit(paths) !== undefined || (!isRunning(paths) && !existsSync(paths.run));
}

/** The last lines: a line may be of several entries. */
function lastLines(entries: readonly LogEntry[], count: number): LogEntry[] {
  let from = entries.length;
  for (let lines = 0; from > 0; from -= 1) {
    // What lies before a whole entry is the end of another line.
    if (!entries[from - 1]!.partial || from === entries.length) lines += 1;
    if (lines > count) break;
  }
  return entries.slice(from);
}

const CHUNK_BYTES = 1 << 16;

/** Reads a growing file of conmon's: `TIME STREAM P|F TEXT` lines. @see conmon, src/ctr_logging.c */
class LogLines {
  readonly #fd: number;
  #rest = Buffer.alloc(0);

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** What was added since the last call. */
  take(): LogEntry[] {
    const entries: LogEntry[] = [];
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    // No more than is there now: a container may write faster than we read.
    let left = fstatSync(this.#fd).size;
    for (let size = readSync(this.#fd, chunk); size > 0; size = readSync(this.#fd, chunk)) {
      this.#rest = Buffer.concat([this.#rest, chunk.subarray(0, size)]);
      for (let end = this.#rest.indexOf(0x0a); end >= 0; end = this.#rest.indexOf(0x0a)) {
        entries.push(parseEntry(this.#rest.subarray(0, end)));
        this.#rest = this.#rest.subarray(end + 1);
      }
      left -= size;
      if (left <= 0) break;
    }
    return entries;
  }
}

function parseEntry(line: Buffer): LogEntry {
  const [, time = '', stream, tag = ''] = /^(\S+) (\S+) (\S) /.exec(line.toString('latin1', 0, 64)) ?? [];
  const start = time.length + (stream?.length ?? 0) + tag.length + 3;
  return {
    time,
    stream: stream === 'stderr' ? 'stderr' : 'stdout',
    text: Buffer.from(line.subarray(start)),
    partial: tag === 'P',
  };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A moment: RFC 3339, seconds since 1970, or how long ago (`10m`, `1h30m`). @throws IMGBOOT_USAGE */
export function parseMoment(text: string, now = Date.now()): number {
  if (/^[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text) * 1000;
  if (/^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$/.test(text)) {
    const parts = [...text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)];
    return now - parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitMs[unit!]!, 0);
  }
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new ImgbootError('IMGBOOT_USAGE', `not a moment: ${JSON.stringify(text)}`, {
    hint: 'a moment is 2026-01-31T12:00:00Z, seconds since 1970, or how long ago, such as 10m',
  });
}
