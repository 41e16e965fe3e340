import { statSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { ImgbootError, type ErrorCode } from '../errors.ts';
import { loadKoffi } from './koffi.ts';

/** btrfsutil.h */
const BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE = 1;
const BTRFS_UTIL_OK = 0;
/** struct btrfs_util_subvolume_info: where its uuid stands, and more bytes than it has. */
const INFO_UUID_OFFSET = 32;
const INFO_SIZE = 512;
/** Inode number of every subvolume's root directory; linux/btrfs_tree.h */
const BTRFS_FIRST_FREE_OBJECTID = 256n;

interface BtrfsUtil {
  strerror(error: number): string;
  createSubvolume(path: string, flags: number, transid: null, inherit: null): number;
  createSnapshot(source: string, path: string, flags: number, transid: null, inherit: null): number;
  deleteSubvolume(path: string, flags: number): number;
  setReadOnly(path: string, readOnly: boolean): number;
  isSubvolume(path: string): number;
  info(path: string, id: bigint, info: Buffer): number;
}

let bound: BtrfsUtil | undefined;

/** Binds what libbtrfsutil 1.2 (Debian 12) has; later versions keep these names. */
function btrfsutil(): BtrfsUtil {
  if (bound !== undefined) return bound;
  const koffi = loadKoffi();
  let lib;
  try {
    lib = koffi.load('libbtrfsutil.so.1');
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_MISSING_LIBRARY', 'libbtrfsutil.so.1 cannot be loaded', {
      cause,
      hint: 'imgboot doctor store --install, or apt-get install libbtrfsutil1',
    });
  }
  const bind = (prototype: string): never => lib.func(prototype) as never;
  bound = {
    strerror: bind('const char *btrfs_util_strerror(int err)'),
    createSubvolume: bind(
      'int btrfs_util_create_subvolume(const char *path, int flags, void *transid, void *inherit)',
    ),
    createSnapshot: bind(
      'int btrfs_util_create_snapshot(const char *source, const char *path, int flags, void *transid, void *inherit)',
    ),
    deleteSubvolume: bind('int btrfs_util_delete_subvolume(const char *path, int flags)'),
    setReadOnly: bind('int btrfs_util_set_subvolume_read_only(const char *path, bool read_only)'),
    isSubvolume: bind('int btrfs_util_is_subvolume(const char *path)'),
    info: bind('int btrfs_util_subvolume_info(const char *path, uint64_t id, void *info)'),
  };
  return bound;
}

/** @throws IMGBOOT_BTRFS */
export function createSubvolume(path: string): void {
  check(btrfsutil().createSubvolume(path, 0, null, null), 'make the subvolume', path);
}

/** A writable snapshot of the subvolume `source`, not of those nested in it. @throws IMGBOOT_BTRFS */
export function snapshotSubvolume(source: string, path: string): void {
  check(btrfsutil().createSnapshot(source, path, 0, null, null), `make a snapshot of ${source} at`, path);
}

/** Deletes a subvolume with those nested in it; needs CAP_SYS_ADMIN. @throws IMGBOOT_BTRFS */
export function deleteSubvolume(path: string): void {
  // A read-only subvolume keeps the ones nested in it from being unlinked.
  setSubvolumeReadOnly(path, false);
  check(
    btrfsutil().deleteSubvolume(path, BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE),
    'delete the subvolume',
    path,
  );
}

/** @throws IMGBOOT_BTRFS */
export function setSubvolumeReadOnly(path: string, readOnly: boolean): void {
  check(
    btrfsutil().setReadOnly(path, readOnly),
    readOnly ? 'make read-only the subvolume' : 'make writable the subvolume',
    path,
  );
}

/** Whether the path is a subvolume's root directory; false for what is missing or not on btrfs. */
export function isSubvolume(path: string): boolean {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isDirectory() || stats.ino !== BTRFS_FIRST_FREE_OBJECTID) return false;
  return btrfsutil().isSubvolume(path) === BTRFS_UTIL_OK;
}

/** The UUID that btrfs gave the subvolume: never reused, so it tells what we made. @throws IMGBOOT_BTRFS */
export function subvolumeUuid(path: string): string {
  const info = Buffer.alloc(INFO_SIZE);
  check(btrfsutil().info(path, 0n, info), 'read the UUID of', path);
  const hex = info.toString('hex', INFO_UUID_OFFSET, INFO_UUID_OFFSET + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Its number in its file system, as `subvolid=` has it. @throws IMGBOOT_BTRFS */
export function subvolumeId(path: string): number {
  const info = Buffer.alloc(INFO_SIZE);
  check(btrfsutil().info(path, 0n, info), 'read the number of', path);
  return Number(info.readBigUInt64LE(0));
}

function check(status: number, what: string, path: string): void {
  if (status === BTRFS_UTIL_OK) return;
  const code: ErrorCode = 'IMGBOOT_BTRFS';
  const errno = getSystemErrorName(-loadKoffi().errno());
  const words = btrfsutil().strerror(status);
  throw new ImgbootError(code, `cannot ${what} ${path}: ${words} (${errno})`, {
    cause: Object.assign(new Error(words), { code: errno }),
  });
}
