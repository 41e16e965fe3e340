import { createHash, type Hash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import type { DiffId, Digest } from '../image/digest.ts';
import { LayerApplier } from './applier.ts';
import { enterRoot } from './enter-root.ts';
import { createDecompressor, detectCompression, type Compression } from './decompress.ts';
import { TarReader } from './tar-reader.ts';

const READ_BYTES = 1 << 20;

export interface LayerSource {
  /** The blob: a layer tar, plain or compressed. */
  path: string;
  /** What it must turn out to be; undefined for a blob that nobody has named yet. */
  expected: { digest: Digest; diffId: DiffId } | undefined;
}

/** What a blob turned out to be while it was applied. */
export interface AppliedLayer {
  digest: Digest;
  diffId: DiffId;
  compression: Compression;
  /** Bytes of the blob. */
  sizeBytes: number;
}

/**
 * Applies a layer blob to `root`, the merged view of its parents, and hashes it while it flows. Enters `root` with
 * chroot(2) meanwhile, so it may run only in a process of its own ({@link runIsolated}). Needs root rights.
 * After a failure `root` holds a part of the layer and is of no use.
 * @throws IMGBOOT_DIGEST_MISMATCH, IMGBOOT_BAD_TAR, IMGBOOT_BAD_LAYER, IMGBOOT_UNKNOWN_COMPRESSION, IMGBOOT_NO_SPACE
 */
export async function applyLayer(source: LayerSource, root: string): Promise<AppliedLayer> {
  const blob = openSync(source.path, 'r');
  try {
    const compression = compressionOf(blob);
    const decompressor = createDecompressor(compression);
    const applier = new LayerApplier();
    const reader = new TarReader(applier);
    const blobHash = createHash('sha256');
    const tarHash = compression === 'none' ? blobHash : createHash('sha256');
    let sizeBytes = 0;
    using _inside = enterRoot(root);
    await pipeline(
      createReadStream('', { fd: blob, autoClose: false, start: 0, highWaterMark: READ_BYTES }),
      async function* count(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          sizeBytes += chunk.length;
          if (compression !== 'none') blobHash.update(chunk);
          yield chunk;
        }
      },
      decompressor,
      tarSink(reader, tarHash),
    );
    reader.finish();
    const digest = blobHash.copy().digest('hex');
    const applied = {
      digest: `sha256:${digest}` as Digest,
      diffId: `sha256:${compression === 'none' ? digest : tarHash.digest('hex')}` as DiffId,
      compression,
      sizeBytes,
    };
    if (source.expected === undefined) checkEnd(reader);
    else checkExpected(applied, source.expected);
    applier.finish();
    return applied;
  } catch (error) {
    throw translate(error, source);
  } finally {
    closeSync(blob);
  }
}

function compressionOf(blob: number): Compression {
  const start = Buffer.alloc(16);
  const compression = detectCompression(start.subarray(0, readSync(blob, start, 0, start.length, 0)));
  // Throws for one that has no decompressor here.
  createDecompressor(compression).destroy();
  return compression as Compression;
}

function tarSink(reader: TarReader, hash: Hash): Writable {
  return new Writable({
    highWaterMark: 4 * READ_BYTES,
    write(chunk: Buffer, _encoding, done) {
      try {
        hash.update(chunk);
        reader.write(chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

function checkExpected(applied: AppliedLayer, expected: { digest: Digest; diffId: DiffId }): void {
  for (const key of ['digest', 'diffId'] as const) {
    if (applied[key] === expected[key]) continue;
    throw new ImgbootError(
      'IMGBOOT_DIGEST_MISMATCH',
      `layer ${expected.digest} is damaged: its ${key === 'digest' ? 'digest' : 'DiffID'} should be ${expected[key]} and is ${applied[key]}`,
      { hint: 'load or pull the image again; imgboot fsck finds every damaged blob' },
    );
  }
}

/** A tar that nobody vouches for must have its end: one that was cut off between two entries looks whole otherwise. */
function checkEnd(reader: TarReader): void {
  if (reader.sawEnd) return;
  throw new ImgbootError(
    'IMGBOOT_BAD_TAR',
    'the tar has no end-of-archive mark: it is cut off, or it is not a tar',
    {
      hint: 'make the archive again and compare the sizes',
    },
  );
}

function translate(error: unknown, source: LayerSource): unknown {
  const layer = source.expected === undefined ? 'the archive' : `layer ${source.expected.digest}`;
  const errno = errnoOf(error);
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new ImgbootError('IMGBOOT_NO_SPACE', `${layer} does not fit: ${errorMessage(error)}`, {
      cause: error,
      hint: 'free space on the file system of the store (imgboot prune), or choose another with --store',
    });
  }
  if (errno?.startsWith('Z_') || errno?.startsWith('ZSTD_') || errno === 'ERR_ZLIB_ERROR') {
    return new ImgbootError('IMGBOOT_BAD_LAYER', `${layer} is damaged or cut off: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  if (error instanceof ImgbootError && error.code !== 'IMGBOOT_SYSCALL') return error;
  return new ImgbootError('IMGBOOT_UNPACK_FAILED', `${layer} cannot be unpacked: ${errorMessage(error)}`, {
    cause: error,
  });
}
