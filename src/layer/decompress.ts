import type { Transform } from 'node:stream';
import { PassThrough } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ImgbootError } from '../errors.ts';

/** How a layer blob is compressed; OCI layers know these three. */
export type Compression = 'none' | 'gzip' | 'zstd';
/** Compressions that are met in the wild and have no OCI media type. */
export type ForeignCompression = 'xz' | 'bzip2' | 'lz4';

const signatures: readonly [Compression | ForeignCompression, number[]][] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  // A zstd stream may begin with a skippable frame, as pzstd and zstd:chunked write them.
  ['zstd', [0x50, 0x2a, 0x4d, 0x18]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

/** Bytes handed on at a time: large enough that the cost of a chunk vanishes. */
const CHUNK_BYTES = 1 << 20;

/** Tells the compression by the first bytes; what is none of the known ones is `none`. */
export function detectCompression(start: Buffer): Compression | ForeignCompression {
  const found = signatures.find(([, magic]) => magic.every((byte, index) => start[index] === byte));
  return found?.[0] ?? 'none';
}

/** A stream that undoes a compression. @throws IMGBOOT_UNKNOWN_COMPRESSION */
export function createDecompressor(compression: Compression | ForeignCompression): Transform {
  switch (compression) {
    case 'none':
      return new PassThrough({ highWaterMark: CHUNK_BYTES });
    case 'gzip':
      return createGunzip({ chunkSize: CHUNK_BYTES });
    case 'zstd':
      return createZstdDecompress({ chunkSize: CHUNK_BYTES });
    default:
      throw new ImgbootError(
        'IMGBOOT_UNKNOWN_COMPRESSION',
        `a layer compressed with ${compression} cannot be read`,
        {
          hint: 'OCI layers are plain, gzip or zstd',
        },
      );
  }
}
