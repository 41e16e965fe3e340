import { readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { SyscallError } from '../errors.ts';
import { loadKoffi } from './koffi.ts';

/** A path as the kernel takes it: text, or the bytes of a name that need not be UTF-8. */
export type RawPath = string | Buffer;

/** linux/mount.h */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MNT_DETACH = 2;

/** sys/file.h */
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

/** linux/fcntl.h */
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;

/** linux/prctl.h */
const PR_SET_PDEATHSIG = 1;

interface Libc {
  mount(source: Buffer, target: Buffer, type: Buffer, flags: number, data: Buffer): number;
  umount2(target: Buffer, flags: number): number;
  chroot(path: Buffer): number;
  fchdir(fd: number): number;
  flock(fd: number, operation: number): number;
  syncfs(fd: number): number;
  prctl(option: number, argument: number, a: number, b: number, c: number): number;
  mknod(path: Buffer, mode: number, device: bigint): number;
  utimensat(dirfd: number, path: Buffer, times: BigInt64Array, flags: number): number;
  futimens(fd: number, times: BigInt64Array): number;
  lsetxattr(path: Buffer, name: Buffer, value: Buffer, size: number, flags: number): number;
  lgetxattr(path: Buffer, name: Buffer, value: Buffer, size: number): number | bigint;
  llistxattr(path: Buffer, list: Buffer, size: number): number | bigint;
  lremovexattr(path: Buffer, name: Buffer): number;
  copyFileRange(
    from: number,
    fromOffset: null,
    to: number,
    toOffset: null,
    length: number,
    flags: number,
  ): number | bigint;
  openat2(
    number: number,
    directory: number,
    path: Buffer,
    how: BigUint64Array,
    size: number,
  ): number | bigint;
}

let bound: Libc | undefined;

function libc(): Libc {
  if (bound !== undefined) return bound;
  const lib = loadKoffi().load('libc.so.6');
  const bind = (prototype: string): never => lib.func(prototype) as never;
  bound = {
    mount: bind('int mount(void *source, void *target, void *type, unsigned long flags, void *data)'),
    umount2: bind('int umount2(void *target, int flags)'),
    chroot: bind('int chroot(void *path)'),
    fchdir: bind('int fchdir(int fd)'),
    flock: bind('int flock(int fd, int operation)'),
    syncfs: bind('int syncfs(int fd)'),
    prctl: bind(
      'int prctl(int option, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4)',
    ),
    mknod: bind('int mknod(void *path, uint32_t mode, uint64_t device)'),
    utimensat: bind('int utimensat(int dirfd, void *path, int64_t *times, int flags)'),
    futimens: bind('int futimens(int fd, int64_t *times)'),
    lsetxattr: bind('int lsetxattr(void *path, void *name, void *value, size_t size, int flags)'),
    lgetxattr: bind('long lgetxattr(void *path, void *name, void *value, size_t size)'),
    llistxattr: bind('long llistxattr(void *path, void *list, size_t size)'),
    lremovexattr: bind('int lremovexattr(void *path, void *name)'),
    copyFileRange: bind(
      'long copy_file_range(int from, void *from_offset, int to, void *to_offset, size_t length, unsigned int flags)',
    ),
    // glibc has no function for it.
    openat2: bind('long syscall(long number, int directory, void *path, void *how, size_t size)'),
  };
  return bound;
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function fail(syscall: string, path?: RawPath, hint?: string): never {
  const number = loadKoffi().errno();
  const errno = errnoNames.get(number) ?? `errno ${number}`;
  const reason = getSystemErrorMap().get(-number)?.[1] ?? 'unknown error';
  throw new SyscallError({ syscall, errno, reason, path: path?.toString(), hint });
}

function cString(text: RawPath): Buffer {
  if (typeof text === 'string') return Buffer.from(`${text}\0`);
  const bytes = Buffer.allocUnsafe(text.length + 1);
  text.copy(bytes);
  bytes[text.length] = 0;
  return bytes;
}

export interface MountRequest {
  source: string;
  target: string;
  type?: string;
  /** MS_* flags of mount(2). */
  flags?: number;
  data?: string;
}

/** mount(2). Needs CAP_SYS_ADMIN. @throws SyscallError */
export function mount(request: MountRequest): void {
  const data = cString(request.data ?? '');
  const status = libc().mount(
    cString(request.source),
    cString(request.target),
    cString(request.type ?? ''),
    request.flags ?? 0,
    data,
  );
  if (status !== 0) fail('mount', request.target);
}

/** umount2(2). @throws SyscallError */
export function unmount(target: string, flags = 0): void {
  if (libc().umount2(cString(target), flags) !== 0) fail('umount', target);
}

/** chroot(2) of the whole process. @throws SyscallError */
export function changeRoot(path: string): void {
  if (libc().chroot(cString(path)) !== 0) fail('chroot', path);
}

/** fchdir(2). @throws SyscallError */
export function changeDirectoryTo(fd: number): void {
  if (libc().fchdir(fd) !== 0) fail('fchdir');
}

/** flock(2) that does not wait. @returns whether the lock was had. @throws SyscallError */
export function tryFlock(fd: number, operation: number): boolean {
  if (libc().flock(fd, operation | LOCK_NB) === 0) return true;
  if (loadKoffi().errno() === constants.errno.EWOULDBLOCK) return false;
  return fail('flock');
}

/** syncfs(2): makes everything written to the file system of `fd` durable. @throws SyscallError */
export function syncFilesystem(fd: number): void {
  if (libc().syncfs(fd) !== 0) fail('syncfs');
}

/** Has the kernel kill this process when the process that started it ends. */
export function dieWithParent(): void {
  libc().prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL, 0, 0, 0);
}

/** mknod(2) with the kernel's 64-bit device number. @throws SyscallError */
export function makeNode(path: RawPath, mode: number, device: { major: number; minor: number }): void {
  if (libc().mknod(cString(path), mode, deviceNumber(device)) !== 0) fail('mknod', path);
}

/** sys/sysmacros.h: gnu_dev_makedev */
function deviceNumber({ major, minor }: { major: number; minor: number }): bigint {
  const [hi, lo] = [BigInt(major), BigInt(minor)];
  return ((hi & 0xfffn) << 8n) | ((hi & ~0xfffn) << 32n) | (lo & 0xffn) | ((lo & ~0xffn) << 12n);
}

/** A point in time, as the kernel keeps it: seconds since 1970 and nanoseconds in that second. */
export interface TimeSpec {
  seconds: bigint;
  nanoseconds: number;
}

/** When a file was last changed, exactly. */
export function modifiedAt({ mtimeNs }: { mtimeNs: bigint }): TimeSpec {
  const nanoseconds = ((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: (mtimeNs - nanoseconds) / 1_000_000_000n, nanoseconds: Number(nanoseconds) };
}

const timesBuffer = new BigInt64Array(4);

/** utimensat(2) on the path itself: sets access and modification time, exact to the nanosecond. @throws SyscallError */
export function setTimes(path: RawPath, time: TimeSpec): void {
  if (libc().utimensat(AT_FDCWD, cString(path), timesOf(time), AT_SYMLINK_NOFOLLOW) !== 0)
    fail('utimensat', path);
}

/** futimens(3): the same for an open file. @throws SyscallError */
export function setFileTimes(fd: number, time: TimeSpec): void {
  if (libc().futimens(fd, timesOf(time)) !== 0) fail('futimens');
}

function timesOf(time: TimeSpec): BigInt64Array {
  timesBuffer[0] = timesBuffer[2] = time.seconds;
  timesBuffer[1] = timesBuffer[3] = BigInt(time.nanoseconds);
  return timesBuffer;
}

/** lsetxattr(2). @throws SyscallError */
export function setXattr(path: RawPath, name: string, value: Buffer): void {
  if (libc().lsetxattr(cString(path), cString(Buffer.from(name, 'latin1')), value, value.length, 0) !== 0)
    fail('lsetxattr', path);
}

/** lremovexattr(2). @throws SyscallError */
export function removeXattr(path: RawPath, name: string): void {
  if (libc().lremovexattr(cString(path), cString(Buffer.from(name, 'latin1'))) !== 0)
    fail('lremovexattr', path);
}

const listBuffer = Buffer.alloc(65536);
const valueBuffer = Buffer.alloc(65536);

/** lgetxattr(2): undefined where the path has no such attribute. @throws SyscallError */
export function readXattr(path: RawPath, name: string): Buffer | undefined {
  const size = Number(
    libc().lgetxattr(cString(path), cString(Buffer.from(name, 'latin1')), valueBuffer, valueBuffer.length),
  );
  if (size >= 0) return Buffer.from(valueBuffer.subarray(0, size));
  const errno = loadKoffi().errno();
  if (errno === constants.errno.ENODATA || errno === constants.errno.EOPNOTSUPP) return undefined;
  return fail('lgetxattr', path);
}

/**
 * The extended attributes of the path itself, by name, in byte order of the names (as latin1 text).
 * A file system without extended attributes has none. @throws SyscallError
 */
export function readXattrs(path: RawPath): Map<string, Buffer> {
  const attributes = new Map<string, Buffer>();
  const target = cString(path);
  const length = Number(libc().llistxattr(target, listBuffer, listBuffer.length));
  if (length < 0) {
    if (loadKoffi().errno() === constants.errno.EOPNOTSUPP) return attributes;
    fail('llistxattr', path);
  }
  // Most files have none.
  if (length === 0) return attributes;
  const names = listBuffer.toString('latin1', 0, length).split('\0').filter(Boolean).sort();
  for (const name of names) {
    const size = Number(
      libc().lgetxattr(target, cString(Buffer.from(name, 'latin1')), valueBuffer, valueBuffer.length),
    );
    if (size < 0) fail('lgetxattr', path);
    attributes.set(name, Buffer.from(valueBuffer.subarray(0, size)));
  }
  return attributes;
}

/** linux/openat2.h; asm-generic/unistd.h */
const SYS_OPENAT2 = 437;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const O_NONBLOCK = 0o4000n;
const O_CLOEXEC = 0o2000000n;

/**
 * Opens a file for reading below a directory, through no symlink whatever: who swaps a directory for a link meanwhile
 * gets an error, and who puts a fifo there keeps nobody waiting. @throws SyscallError @see openat2(2)
 */
export function openBeneath(directory: number, path: Buffer): number {
  const how = new BigUint64Array([O_CLOEXEC | O_NONBLOCK, 0n, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH]);
  const fd = Number(libc().openat2(SYS_OPENAT2, directory, cString(path), how, how.byteLength));
  return fd >= 0 ? fd : fail('openat2', path);
}

/**
 * Copies the rest of one file to another, sharing the blocks where the file system can; between any two files that the
 * kernel can copy. @throws SyscallError @see copy_file_range(2)
 */
export function copyContent(from: number, to: number): void {
  const LARGEST = 0x7ffff000;
  for (;;) {
    const copied = Number(libc().copyFileRange(from, null, to, null, LARGEST, 0));
    if (copied === 0) return;
    if (copied < 0) {
      const errno = loadKoffi().errno();
      if (errno === constants.errno.EINTR) continue;
      if (
        errno !== constants.errno.EXDEV &&
        errno !== constants.errno.EINVAL &&
        errno !== constants.errno.EOPNOTSUPP
      )
        fail('copy_file_range');
      copyThroughMemory(from, to);
      return;
    }
  }
}

const COPY_BYTES = 1 << 20;
/** One for all: many small files are copied one after the other. */
let copyBuffer: Buffer | undefined;

function copyThroughMemory(from: number, to: number): void {
  copyBuffer ??= Buffer.allocUnsafe(COPY_BYTES);
  const buffer = copyBuffer;
  for (let size = readSync(from, buffer); size > 0; size = readSync(from, buffer)) {
    for (let done = 0; done < size;) done += writeSync(to, buffer, done, size - done);
  }
}
