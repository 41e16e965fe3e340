import { ftruncateSync, writeSync } from 'node:fs';
import { copyContent } from '../system/libc.ts';

/** A run of zeros at least this long becomes a hole. */
const HOLE_BYTES = 64 << 10;
const zeros = Buffer.alloc(HOLE_BYTES);

/** Writes a new file's content, in order of the offsets; runs of zeros are left as holes. */
export class ContentWriter {
  readonly #fd: number;
  readonly #sizeBytes: number;
  /** How far there is data. */
  #end = 0;

  constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
  }

  write(chunk: Buffer, offset: number): void {
    for (let at = 0; at < chunk.length;) {
      const data = dataLength(chunk, at);
      if (data > 0) {
        writeFully(this.#fd, chunk.subarray(at, at + data), offset + at);
        this.#end = offset + at + data;
      }
      // Nothing is written where the hole shall be.
      at += data + holeLength(chunk, at + data);
    }
  }

  /** Takes the whole content from the start of an open file: shared where the file system can. */
  copyFrom(fd: number): void {
    copyContent(fd, this.#fd);
    this.#end = this.#sizeBytes;
  }

  /** Gives the file its size when a hole ends it. */
  finish(): void {
    if (this.#end < this.#sizeBytes) ftruncateSync(this.#fd, this.#sizeBytes);
  }
}

/** How much from `at` on is data: all up to the next zeros that make a hole. */
function dataLength(chunk: Buffer, at: number): number {
  let end = at;
  while (end < chunk.length && !isHole(chunk, end)) end += HOLE_BYTES;
  return Math.min(end, chunk.length) - at;
}

function holeLength(chunk: Buffer, at: number): number {
  let end = at;
  while (isHole(chunk, end)) end += HOLE_BYTES;
  return end - at;
}

/** Only whole blocks: what is shorter costs the disk nothing either way. */
function isHole(chunk: Buffer, at: number): boolean {
  // The two looks first: most data have a byte at their beginning or their end.
  return (
    at + HOLE_BYTES <= chunk.length &&
    chunk[at] === 0 &&
    chunk[at + HOLE_BYTES - 1] === 0 &&
    chunk.subarray(at, at + HOLE_BYTES).equals(zeros)
  );
}

function writeFully(fd: number, data: Buffer, position: number): void {
  for (let done = 0; done < data.length;)
    done += writeSync(fd, data, done, data.length - done, position + done);
}
