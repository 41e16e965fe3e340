import type { TimeSpec } from '../system/libc.ts';

export type EntryType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** A run of bytes of a sparse file; what lies between the runs is a hole. */
export interface SparseRun {
  offset: number;
  length: number;
}

/**
 * One entry of a layer tar. Names are byte strings: one character a byte (latin1), because a Linux file name
 * need not be UTF-8.
 */
export interface TarEntry {
  type: EntryType;
  /** As written in the tar: may be absolute, hold `..`, or end in a slash. */
  path: string;
  /** Of a hard or symbolic link; empty for others. */
  linkTarget: string;
  /** Permission, setuid, setgid and sticky bits. */
  mode: number;
  uid: number;
  gid: number;
  mtime: TimeSpec;
  /** Bytes of the file as it will be, holes included; 0 for anything but a regular file. */
  size: number;
  /** Of a character or block device. */
  device: { major: number; minor: number };
  /** By name; values are raw bytes. */
  xattrs: ReadonlyMap<string, Buffer>;
  /** The runs that hold data, in order, when the tar kept the file sparse. */
  sparse: readonly SparseRun[] | undefined;
}

/** What a {@link TarReader} calls, in the order of the tar. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Content of the last entry, a regular file; `offset` is the position in the file. The buffer is only lent. */
  data(chunk: Buffer, offset: number): void;
  /** The last entry is complete. */
  endEntry(): void;
}
