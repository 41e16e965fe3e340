import { badInitramfs } from './newc-reader.ts';

// Where compressed streams end, told by their frames alone: behind one, another or something else may follow.

/** The place after a zstd frame. @see RFC 8878, section 3.1.1 */
export function zstdFrameEnd(file: Buffer, start: number): number {
  const byte = byteReader(file, { format: 'zstd', start });
  const descriptor = byte(start + 4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeFlag = descriptor >> 6;
  const contentSizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
  let at = start + 5 + (singleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
  for (let last = false; !last;) {
    const header = byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16);
    last = (header & 1) === 1;
    const isRepeated = ((header >> 1) & 3) === 1;
    at += 3 + (isRepeated ? 1 : header >> 3);
  }
  const end = at + ((descriptor & 4) !== 0 ? 4 : 0);
  byte(end - 1);
  return end;
}

/** The place after a gzip member's header. @see RFC 1952, section 2.3 */
export function gzipHeaderEnd(file: Buffer, start: number): number {
  const flags = file[start + 3] ?? 0;
  let at = start + 10;
  if ((flags & 4) !== 0) at += 2 + (file[at] ?? 0) + ((file[at + 1] ?? 0) << 8);
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue;
    const end = file.indexOf(0, at);
    if (end === -1) throw badInitramfs(`its gzip part at byte ${start} is cut off`);
    at = end + 1;
  }
  return at + ((flags & 2) !== 0 ? 2 : 0);
}

/** The place after an .xz stream. @see the .xz file format, sections 2 to 4; LZMA2's chunks, in lib/xz of the kernel */
export function xzStreamEnd(file: Buffer, start: number): number {
  const byte = byteReader(file, { format: 'xz', start });
  const checkBytes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64][byte(start + 7) & 15]!;
  let at = start + 12;
  // A block begins with its header's size; the index, with a zero.
  while (byte(at) !== 0) {
    at = lzma2End(byte, at + (byte(at) + 1) * 4);
    at += padding(at - start) + checkBytes;
  }
  const index = at;
  const number = (): number => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const digit = byte(at++);
      value += (digit & 0x7f) * unit;
      if ((digit & 0x80) === 0) return value;
    }
  };
  at++;
  const records = number();
  for (let record = 0; record < records * 2; record++) number();
  // The index's padding and checksum, and the footer.
  const end = at + padding(at - index) + 4 + 12;
  byte(end - 1);
  return end;
}

/** The place after a block's LZMA2 chunks. */
function lzma2End(byte: (at: number) => number, start: number): number {
  for (let at = start; ;) {
    const control = byte(at);
    if (control === 0) return at + 1;
    if (control < 0x80) at += 3 + ((byte(at + 1) << 8) | byte(at + 2)) + 1;
    // State and properties are new from 0xc0 on: a byte more.
    else at += 5 + (control >= 0xc0 ? 1 : 0) + ((byte(at + 3) << 8) | byte(at + 4)) + 1;
  }
}

/** The most that a legacy block of 8 MiB may take. @see LZ4_COMPRESSBOUND of lz4.h */
const LZ4_MAX_BLOCK_BYTES = 8 * 1024 * 1024 + ((8 * 1024 * 1024) >> 7) + 16;

/** The place after a legacy LZ4 frame, which has no end of its own: the first number that is no block's size. */
export function lz4FrameEnd(file: Buffer, start: number): number {
  let at = start + 4;
  while (at + 4 <= file.length) {
    const sizeBytes = file.readUInt32LE(at);
    if (sizeBytes === 0 || sizeBytes > LZ4_MAX_BLOCK_BYTES) return at;
    at += 4 + sizeBytes;
    if (at > file.length) throw badInitramfs(`its lz4 part at byte ${start} is cut off`);
  }
  return file.length;
}

function padding(length: number): number {
  return (4 - (length % 4)) % 4;
}

function byteReader(file: Buffer, part: { format: string; start: number }): (at: number) => number {
  return (at) => {
    if (at >= file.length) throw badInitramfs(`its ${part.format} part at byte ${part.start} is cut off`);
    return file[at]!;
  };
}
