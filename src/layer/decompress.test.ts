import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createDecompressor, detectCompression } from './decompress.ts';

async function decompress(blob: Buffer, pieceBytes = blob.length): Promise<Buffer> {
  const compression = detectCompression(blob) as 'none' | 'gzip' | 'zstd';
  const plain: Buffer[] = [];
  const decompressor = createDecompressor(compression, (bytes) => void plain.push(Buffer.from(bytes)));
  for (let at = 0; at < blob.length; at += pieceBytes)
    await decompressor.write(blob.subarray(at, at + pieceBytes));
  await decompressor.end();
  return Buffer.concat(plain);
}

const data = randomBytes(100_000);
const more = randomBytes(50_000);
/** RFC 8878, 3.1.2, with one of the 16 magic numbers. */
const skippable = Buffer.from('5e2a4d1804000000deadbeef', 'hex');

describe('a layer blob', () => {
  it.each([
    ['plain', data],
    ['gzip', gzipSync(data)],
    ['zstd', zstdCompressSync(data)],
    ['gzip of several members', Buffer.concat([gzipSync(data), gzipSync(more)])],
    ['gzip with zeros behind it', Buffer.concat([gzipSync(data), Buffer.alloc(700_000)])],
    ['zstd of several frames', Buffer.concat([zstdCompressSync(data), zstdCompressSync(more)])],
    [
      'zstd with skippable frames before, between and behind',
      Buffer.concat([skippable, zstdCompressSync(data), skippable, zstdCompressSync(more), skippable]),
    ],
  ])('%s is read whole, in pieces of any size', async (title, blob) => {
    const expected = title.includes('several') || title.includes('between') ? [data, more] : [data];
    for (const pieceBytes of [blob.length, 65_536, 999])
      expect((await decompress(blob, pieceBytes)).equals(Buffer.concat(expected))).toBe(true);
  });

  it.each([
    ['gzip cut off', gzipSync(data).subarray(0, -100)],
    ['gzip cut off in its trailer', gzipSync(data).subarray(0, -3)],
    [
      'gzip of two members, the second cut off',
      Buffer.concat([gzipSync(data), gzipSync(more).subarray(0, -9)]),
    ],
    ['zstd cut off', zstdCompressSync(data).subarray(0, -100)],
    [
      'zstd of two frames, the second cut off',
      Buffer.concat([zstdCompressSync(data), zstdCompressSync(more).subarray(0, -9)]),
    ],
    [
      'zstd with garbage behind it',
      Buffer.concat([zstdCompressSync(data), Buffer.from('garbage, as it is')]),
    ],
    ['gzip with a wrong checksum', Buffer.concat([gzipSync(data).subarray(0, -8), Buffer.alloc(8, 1)])],
  ])('%s is refused, in pieces of any size', async (_title, blob) => {
    for (const pieceBytes of [blob.length, 65_536, 999])
      await expect(decompress(blob, pieceBytes)).rejects.toMatchObject({ code: expect.stringMatching(/^Z/) });
  });

  it.each([
    ['xz', 'fd377a585a00'],
    ['bzip2', '425a6839'],
    ['lz4', '04224d18'],
    ['none', '75737461'],
    ['none', ''],
    ['zstd', '502a4d18'],
    ['zstd', '28b52ffd'],
  ])('that begins like %s is known by it', (compression, start) => {
    expect(detectCompression(Buffer.from(start, 'hex'))).toBe(compression);
  });
});
