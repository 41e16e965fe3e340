import { availableParallelism } from 'node:os';
import { loadKoffi } from './koffi.ts';

/** lzma/base.h */
const LZMA_OK = 0;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

type Decode = (parameters: unknown[]) => Promise<number>;

let bound: Decode | undefined | 'absent';
let running = 0;
const waiting: (() => void)[] = [];

/** Whether this machine has the library. */
export function hasLiblzma(): boolean {
  return library() !== 'absent';
}

/**
 * Unpacks a file with one .xz stream beside this thread, without a process. Only where {@link hasLiblzma}.
 * @param plain gets what is unpacked; has exactly its size
 * @returns false where the bytes are damaged or unpack to another size
 * @see lzma/container.h
 */
export async function decodeXz(bytes: Buffer, plain: Buffer): Promise<boolean> {
  const decode = library() as Decode;
  // Each call takes a thread, and koffi refuses more than it has.
  if (running > availableParallelism()) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    const [limit, taken, made] = [
      BigUint64Array.of(UINT64_MAX),
      new BigUint64Array(1),
      new BigUint64Array(1),
    ];
    const status = await decode([limit, 0, null, bytes, taken, bytes.length, plain, made, plain.length]);
    const isWhole = Number(taken[0]) === bytes.length && Number(made[0]) === plain.length;
    return status === LZMA_OK && isWhole;
  } finally {
    running--;
    waiting.shift()?.();
  }
}

function library(): Decode | 'absent' {
  if (bound !== undefined) return bound;
  try {
    const decode = loadKoffi()
      .load('liblzma.so.5')
      .func(
        'int lzma_stream_buffer_decode(void *limit, uint32_t flags, void *allocator, void *in, void *in_pos, size_t in_size, void *out, void *out_pos, size_t out_size)',
      );
    bound = async (parameters) =>
      await new Promise((resolve, reject) => {
        decode.async(...parameters, (error: unknown, status: number) =>
          error === null ? resolve(status) : reject(error),
        );
      });
  } catch {
    bound = 'absent';
  }
  return bound;
}
