import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

// QEMU's record of what a guest wrote, in the format of the kernel's dm-log-writes.
// @see Documentation/admin-guide/device-mapper/log-writes.rst, QEMU's block/blklogwrites.c

const MAGIC = 0x6a_7366_7773_6872n;
const SECTOR_BYTES = 512;
/** LOG_FLUSH_FLAG, LOG_DISCARD_FLAG */
const FLUSH = 1n;
const DISCARD = 4n;

/** One thing that the guest asked of its disk, in the order in which it was done. */
export type Entry =
  | { kind: 'flush'; at: number }
  | {
      kind: 'write';
      /** Where the record has it: what is recorded later lies behind. */
      at: number;
      /** On the disk. */
      offset: number;
      length: number;
      /** Where the record has the bytes. */
      data: number;
    };

/** Reads the record of a machine that has ended. @throws where it is none */
export function readWriteLog(path: string): Entry[] {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const header = Buffer.alloc(32);
    readSync(fd, header, 0, header.length, 0);
    if (header.readBigUInt64LE(0) !== MAGIC) throw new Error(`${path} is no record of writes`);
    const sector = header.readUInt32LE(24);
    const entries: Entry[] = [];
    let at = sector;
    while (at + sector <= size) {
      readSync(fd, header, 0, header.length, at);
      const length = Number(header.readBigUInt64LE(8)) * SECTOR_BYTES;
      const flags = header.readBigUInt64LE(16);
      if (length === 0 && flags === 0n) break;
      const data = at + sector;
      const bytes = (flags & DISCARD) === 0n ? length : 0;
      // A write that asks for a flush before it is both.
      if ((flags & FLUSH) !== 0n) entries.push({ kind: 'flush', at });
      if (bytes > 0)
        entries.push({
          kind: 'write',
          at,
          offset: Number(header.readBigUInt64LE(0)) * SECTOR_BYTES,
          length,
          data,
        });
      at = data + bytes;
    }
    return entries;
  } finally {
    closeSync(fd);
  }
}
