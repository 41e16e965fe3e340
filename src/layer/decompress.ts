import { once } from 'node:events';
import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

/** How a layer blob is compressed; OCI layers know these three. */
export type Compression = 'none' | 'gzip' | 'zstd';
/** Compressions that are met in the wild and have no OCI media type. */
export type ForeignCompression = 'xz' | 'bzip2' | 'lz4';

const signatures: readonly [Compression | ForeignCompression, number[]][] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

/** Bytes handed on at a time: large enough that the cost of a chunk vanishes. */
const CHUNK_BYTES = 1 << 20;

/** Tells the compression by the first bytes; what is none of the known ones is `none`. */
export function detectCompression(start: Buffer): Compression | ForeignCompression {
  // A zstd stream may begin with any of 16 kinds of skippable frames, as pzstd writes them. @see RFC 8878, 3.1.2
  if (start.length >= 4 && (start.readUInt32LE() & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  const found = signatures.find(([, magic]) => magic.every((byte, index) => start[index] === byte));
  return found?.[0] ?? 'none';
}

/** Whether OCI has a media type for layers with this compression. */
export function isLayerCompression(
  compression: Compression | ForeignCompression,
): compression is Compression {
  return compression === 'none' || compression === 'gzip' || compression === 'zstd';
}

/** Undoes a compression: what it makes of the chunks that it is given, its sink got. */
export interface Decompressor {
  /** Settles when the chunk may be used again. Rejects with zlib's error. */
  write(chunk: Buffer): Promise<void>;
  /** Rejects when the compressed data are cut off. */
  end(): Promise<void>;
}

/** @param sink takes plain bytes, which are lent */
export function createDecompressor(compression: Compression, sink: (bytes: Buffer) => void): Decompressor {
  if (compression === 'gzip') return new GzipMembers(sink);
  if (compression === 'zstd') return new ZstdFrames(sink);
  return { write: (chunk) => Promise.resolve(sink(chunk)), end: () => Promise.resolve() };
}

/** One of Node's decompressing streams, pushed to and pushing on. */
class Engine {
  readonly #stream: Transform & { readonly bytesWritten: number };
  readonly #ended: Promise<unknown>;

  constructor(stream: Transform & { readonly bytesWritten: number }, sink: (bytes: Buffer) => void) {
    this.#stream = stream;
    this.#ended = once(stream, 'end');
    // Who waits for it, sees its failure; a failed write is told first.
    this.#ended.catch(() => {});
    stream.on('data', sink);
  }

  /** @returns how many bytes of the chunk it took: fewer than all, once it has reached its end */
  async write(chunk: Buffer): Promise<number> {
    const before = this.#stream.bytesWritten;
    await new Promise<void>((resolve, reject) => {
      // A stream that fails may forget the callback of the write that it failed at.
      this.#ended.catch(reject);
      this.#stream.write(chunk, (error) => (error ? void this.#ended.then(() => reject(error)) : resolve()));
    });
    const taken = this.#stream.bytesWritten - before;
    // What it made before its end must be out before another engine's.
    if (taken < chunk.length) await this.#ended;
    return taken;
  }

  async end(): Promise<void> {
    this.#stream.end();
    await this.#ended;
  }
}

/** Node reads all members of a gzip file itself. What is no member ends it, as for gzip(1). */
class GzipMembers implements Decompressor {
  readonly #engine: Engine;
  #done = false;

  constructor(sink: (bytes: Buffer) => void) {
    this.#engine = new Engine(createGunzip({ chunkSize: CHUNK_BYTES }), sink);
  }

  async write(chunk: Buffer): Promise<void> {
    if (!this.#done) this.#done = (await this.#engine.write(chunk)) < chunk.length;
  }

  async end(): Promise<void> {
    if (!this.#done) await this.#engine.end();
  }
}

/**
 * A zstd file is frames in a row; zstd:chunked makes one for each file of a layer, and skippable ones. Node's stream
 * ends with the first and says nothing of the rest.
 */
class ZstdFrames implements Decompressor {
  readonly #sink: (bytes: Buffer) => void;
  #frame: Engine | undefined;

  constructor(sink: (bytes: Buffer) => void) {
    this.#sink = sink;
  }

  async write(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      this.#frame ??= new Engine(createZstdDecompress({ chunkSize: CHUNK_BYTES }), this.#sink);
      rest = rest.subarray(await this.#frame.write(rest));
      if (rest.length > 0) this.#frame = undefined;
    }
  }

  async end(): Promise<void> {
    await this.#frame?.end();
  }
}
