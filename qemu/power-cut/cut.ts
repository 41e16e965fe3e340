import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { Entry } from './write-log.ts';

/** A moment at which the power goes. */
export interface Cut {
  /** How many entries of the record the disk was given by then. */
  given: number;
  /** What becomes of what was not flushed: nothing is on the disk, or of each 4 KiB it is a matter of chance. */
  unflushed: 'lost' | 'in part';
  seed: number;
}

/** What a disk writes in one go at most; the least that file systems count on is a sector. */
const PIECE_BYTES = 4096;

/**
 * Moments spread evenly over what was flushed between two places of the record, since what is on the disk changes with
 * each flush; every second one leaves some of what was not flushed. Pure.
 */
export function spreadCuts(
  entries: readonly Entry[],
  { from, to, count, seed }: { from: number; to: number; count: number; seed: number },
): Cut[] {
  const random = generator(seed);
  const flushes = entries.flatMap(({ kind, at }, index) =>
    kind === 'flush' && at >= from && at < to ? [index] : [],
  );
  return Array.from({ length: count }, (_, number) => {
    const chosen = Math.min(flushes.length - 1, Math.floor(((number + 0.5) * flushes.length) / count));
    const start = flushes[chosen] ?? 0;
    // Up to the flush after it, which has begun but is not done.
    const next = entries.findIndex(({ kind }, index) => index > start && kind === 'flush');
    const end = next === -1 ? entries.length : next;
    const given = number % 2 === 0 ? end : start + 1 + Math.floor(random() * (end - start));
    return { given, unflushed: number % 4 < 2 ? 'in part' : 'lost', seed: seed + number };
  });
}

/** A disk as the record of its writes has it: what was flushed, at moments that come later and later. */
export class FlushedDisk {
  readonly #disk: string;
  readonly #log: string;
  readonly #entries: readonly Entry[];
  #flushed = 0;

  /** @param files.disk as it was when the record began; written to */
  constructor(files: { disk: string; log: string }, entries: readonly Entry[]) {
    this.#disk = files.disk;
    this.#log = files.log;
    this.#entries = entries;
  }

  /** Brings the disk to the last flush before a moment. @returns the writes since */
  advance({ given }: Cut): Entry[] {
    const last = this.#entries.findLastIndex(({ kind }, index) => index < given && kind === 'flush');
    if (last + 1 < this.#flushed) throw new RangeError('the disk has what was flushed later');
    replay(this.#disk, { log: this.#log, entries: this.#entries.slice(this.#flushed, last + 1) });
    this.#flushed = last + 1;
    return this.#entries.slice(last + 1, given);
  }
}

/** Writes to a disk what a cut left by chance. */
export function writeLeft(
  disk: string,
  { log, entries, cut }: { log: string; entries: readonly Entry[]; cut: Cut },
): void {
  if (cut.unflushed === 'lost') return;
  const random = generator(cut.seed);
  const pieces = entries.flatMap((entry) => (entry.kind === 'flush' ? [] : split(entry)));
  replay(disk, { log, entries: pieces.filter(() => random() < 0.5) });
}

function replay(disk: string, { log, entries }: { log: string; entries: readonly Entry[] }): void {
  const from = openSync(log, 'r');
  const to = openSync(disk, 'r+');
  try {
    for (const entry of entries) {
      if (entry.kind === 'flush') continue;
      const bytes = Buffer.alloc(entry.length);
      readSync(from, bytes, 0, bytes.length, entry.data);
      writeSync(to, bytes, 0, bytes.length, entry.offset);
    }
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

function split(entry: Entry & { kind: 'write' }): Entry[] {
  const pieces: Entry[] = [];
  for (let done = 0; done < entry.length; done += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, entry.length - done);
    pieces.push({ ...entry, offset: entry.offset + done, data: entry.data + done, length });
  }
  return pieces;
}

/** Numbers from 0 to 1 that are the same every time: mulberry32. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
