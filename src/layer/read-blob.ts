import { createHash } from 'node:crypto';
import { readSync, writeSync } from 'node:fs';
import type { DiffId, Digest } from '../image/digest.ts';
import { createDecompressor, type Compression } from './decompress.ts';
import type { Ring } from './ring.ts';

/** What a blob turned out to be while it was read. */
export interface BlobFacts {
  digest: Digest;
  /** The digest of what it decompresses to. */
  diffId: DiffId;
  /** Bytes of the blob. */
  sizeBytes: number;
}

/** A blob to read, by open descriptors: a process's are its threads'. */
export interface BlobOrder {
  fd: number;
  compression: Compression;
  /** Where its bytes are written, too. */
  copyFd?: number | undefined;
}

/** Reads an open blob once, from its beginning: hashes it, decompresses it into the ring, and hashes that. */
export async function readBlob(order: BlobOrder, ring: Ring): Promise<BlobFacts> {
  return order.compression === 'none' ? readPlain(order, ring) : readCompressed(order, ring);
}

function readPlain({ fd, copyFd }: BlobOrder, ring: Ring): BlobFacts {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for (;;) {
    const slot = ring.free();
    const count = readSync(fd, slot, 0, slot.length, sizeBytes);
    if (count === 0) break;
    hash.update(slot.subarray(0, count));
    if (copyFd !== undefined) writeFully(copyFd, slot.subarray(0, count));
    ring.fill(count);
    sizeBytes += count;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  return { digest: digest as Digest, diffId: digest as DiffId, sizeBytes };
}

async function readCompressed({ fd, compression, copyFd }: BlobOrder, ring: Ring): Promise<BlobFacts> {
  const blobHash = createHash('sha256');
  const tarHash = createHash('sha256');
  const decompressor = createDecompressor(compression, (bytes) => {
    tarHash.update(bytes);
    for (let at = 0; at < bytes.length;) {
      const copied = bytes.copy(ring.free(), 0, at);
      ring.fill(copied);
      at += copied;
    }
  });
  const chunk = Buffer.allocUnsafeSlow(1 << 18);
  let sizeBytes = 0;
  for (;;) {
    const count = readSync(fd, chunk, 0, chunk.length, sizeBytes);
    if (count === 0) break;
    blobHash.update(chunk.subarray(0, count));
    if (copyFd !== undefined) writeFully(copyFd, chunk.subarray(0, count));
    await decompressor.write(chunk.subarray(0, count));
    sizeBytes += count;
  }
  await decompressor.end();
  return {
    digest: `sha256:${blobHash.digest('hex')}` as Digest,
    diffId: `sha256:${tarHash.digest('hex')}` as DiffId,
    sizeBytes,
  };
}

function writeFully(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}
