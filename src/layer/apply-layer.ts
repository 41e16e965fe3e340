import { closeSync, openSync, readSync } from 'node:fs';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import type { DiffId, Digest } from '../image/digest.ts';
import { explainNoSpace } from '../system/no-space.ts';
import { LayerApplier } from './applier.ts';
import { enterRoot } from './enter-root.ts';
import { detectCompression, isLayerCompression, type Compression } from './decompress.ts';
import type { BlobFeed } from './feed.ts';
import type { BlobFacts, BlobOrder } from './read-blob.ts';
import { TarReader } from './tar-reader.ts';

export interface LayerSource {
  /** The blob: a layer tar, plain or compressed. */
  path: string;
  /** A new file that gets the blob's bytes while they flow. */
  copyTo?: string | undefined;
  /** What it must turn out to be; undefined for a blob that nobody has named yet. */
  expected: { digest: Digest; diffId: DiffId } | undefined;
}

/** What a blob turned out to be while it was applied. */
export interface AppliedLayer extends BlobFacts {
  compression: Compression;
}

/**
 * Applies a layer blob to `root`, the merged view of its parents, and hashes it while it flows. Enters `root` with
 * chroot(2) meanwhile, so it may run only in a process of its own ({@link runIsolated}). Needs root rights.
 * After a failure `root` holds a part of the layer and is of no use.
 * @throws IMGBOOT_DIGEST_MISMATCH, IMGBOOT_BAD_TAR, IMGBOOT_BAD_LAYER, IMGBOOT_UNKNOWN_COMPRESSION, IMGBOOT_NO_SPACE
 */
export async function applyLayer(
  source: LayerSource,
  { root, feed }: { root: string; feed: BlobFeed },
): Promise<AppliedLayer> {
  return withBlob(source, async (blob) => {
    const applier = new LayerApplier();
    const reader = new TarReader(applier);
    using _inside = enterRoot(root);
    const facts = await feed.read(blob, (bytes) => reader.write(bytes));
    if (source.expected === undefined) checkEnd(reader);
    else checkExpected(facts, source.expected);
    reader.finish();
    applier.finish();
    return { ...facts, compression: blob.compression };
  });
}

/**
 * Reads a layer blob whose content is known already, for nothing but its digest and DiffID.
 * @throws IMGBOOT_DIGEST_MISMATCH, IMGBOOT_BAD_LAYER, IMGBOOT_UNKNOWN_COMPRESSION
 */
export async function verifyLayer(source: LayerSource, feed: BlobFeed): Promise<void> {
  await withBlob(source, async (blob) => {
    const facts = await feed.read(blob, () => {});
    if (source.expected !== undefined) checkExpected(facts, source.expected);
  });
}

async function withBlob<Result>(
  source: LayerSource,
  use: (blob: BlobOrder) => Promise<Result>,
): Promise<Result> {
  const open: number[] = [];
  const opened = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  try {
    const fd = opened(openSync(source.path, 'r'));
    const copyFd = source.copyTo === undefined ? undefined : opened(openSync(source.copyTo, 'wx', 0o600));
    return await use({ fd, compression: compressionOf(fd), copyFd });
  } catch (error) {
    throw translate(error, source);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

function compressionOf(blob: number): Compression {
  const start = Buffer.alloc(16);
  const compression = detectCompression(start.subarray(0, readSync(blob, start, 0, start.length, 0)));
  if (isLayerCompression(compression)) return compression;
  throw new ImgbootError(
    'IMGBOOT_UNKNOWN_COMPRESSION',
    `a layer compressed with ${compression} cannot be read`,
    {
      hint: 'OCI layers are plain, gzip or zstd',
    },
  );
}

function checkExpected(facts: BlobFacts, expected: { digest: Digest; diffId: DiffId }): void {
  for (const key of ['digest', 'diffId'] as const) {
    if (facts[key] === expected[key]) continue;
    throw new ImgbootError(
      'IMGBOOT_DIGEST_MISMATCH',
      `layer ${expected.digest} is damaged: its ${key === 'digest' ? 'digest' : 'DiffID'} should be ${expected[key]} and is ${facts[key]}`,
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
  const explained = explainNoSpace(error, layer);
  if (explained !== error) return explained;
  const errno = errnoOf(error);
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
