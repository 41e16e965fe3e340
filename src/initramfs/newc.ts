import { ImgbootError } from '../errors.ts';

/** What one member of a newc archive says of itself. */
export interface NewcHeader {
  /** No leading slash. */
  name: string;
  ino: number;
  /** Type and permissions, as st_mode. */
  mode: number;
  nlink: number;
  mtimeSeconds: number;
  sizeBytes: number;
  device?: { major: number; minor: number } | undefined;
  /** Zero bytes behind the name, beyond the one that ends it: they move the content. */
  namePadding?: number | undefined;
}

/** include/uapi/linux/stat.h */
export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFLNK = 0o120000;
export const S_IFCHR = 0o020000;

export const NEWC_MAGIC = '070701';
/** The same with a checksum; the kernel's newest name for it. */
export const NEWC_CRC_MAGIC = '070702';
export const NEWC_HEADER_BYTES = 110;
export const TRAILER = 'TRAILER!!!';

/** Sizes are 8 hex digits. */
const MAX_FIELD = 0xffff_ffff;

/**
 * A member's header and name, padded to four bytes. Owners are always 0:0, and the name's length is counted in bytes.
 * @see Documentation/driver-api/early-userspace/buffer-format.rst of the kernel
 */
export function encodeNewcHeader(header: NewcHeader): Buffer {
  const name = Buffer.from(header.name + '\0'.repeat(header.namePadding ?? 0));
  const fields = [
    header.ino,
    header.mode,
    0,
    0,
    header.nlink,
    header.mtimeSeconds,
    header.sizeBytes,
    0,
    0,
    header.device?.major ?? 0,
    header.device?.minor ?? 0,
    name.length + 1,
    0,
  ];
  const length = (NEWC_HEADER_BYTES + name.length + 1 + 3) & ~3;
  const bytes = Buffer.alloc(length);
  bytes.write(NEWC_MAGIC, 0, 'latin1');
  bytes.write(fields.map((field) => hexField(field, header.name)).join(''), 6, 'latin1');
  name.copy(bytes, NEWC_HEADER_BYTES);
  return bytes;
}

function hexField(value: number, name: string): string {
  if (!Number.isInteger(value) || value < 0 || value > MAX_FIELD) {
    throw new ImgbootError('IMGBOOT_ARCHIVE_LIMIT', `${name} does not fit a cpio archive (${value})`, {
      hint: 'a file in an initramfs has to be smaller than 4 GiB',
    });
  }
  return value.toString(16).toUpperCase().padStart(8, '0');
}
