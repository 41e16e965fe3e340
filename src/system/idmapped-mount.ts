import { closeSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorMap } from 'node:util';
import { SyscallError } from '../errors.ts';
import { loadKoffi } from './koffi.ts';

/** A range of numbers on disk, and where it begins in the system. */
export interface IdRange {
  inside: number;
  outside: number;
  size: number;
}

/** asm-generic/unistd.h */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
/** linux/mount.h, linux/fcntl.h */
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_IDMAP = 0x0010_0000n;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
/** linux/securebits.h, linux/prctl.h */
const PR_SET_SECUREBITS = 28;
const SECBIT_NO_SETUID_FIXUP = 4;

interface Calls {
  openTree(number: number, directory: number, path: Buffer, flags: number): number | bigint;
  setAttributes(
    number: number,
    fd: number,
    path: Buffer,
    flags: number,
    attributes: BigUint64Array,
    size: number,
  ): number | bigint;
  moveMount(
    number: number,
    fromFd: number,
    from: Buffer,
    toFd: number,
    to: Buffer,
    flags: number,
  ): number | bigint;
  prctl(option: number, a1: number, a2: number, a3: number, a4: number): number;
  setfsuid(uid: number): number;
  setfsgid(gid: number): number;
}

let bound: Calls | undefined;

function calls(): Calls {
  if (bound !== undefined) return bound;
  const lib = loadKoffi().load('libc.so.6');
  const bind = (prototype: string): never => lib.func(prototype) as never;
  bound = {
    openTree: bind('long syscall(long number, long directory, void *path, long flags)'),
    setAttributes: bind(
      'long syscall(long number, long fd, void *path, long flags, void *attributes, size_t size)',
    ),
    moveMount: bind('long syscall(long number, long from_fd, void *from, long to_fd, void *to, long flags)'),
    prctl: bind(
      'int prctl(int option, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4)',
    ),
    setfsuid: bind('int setfsuid(unsigned int uid)'),
    setfsgid: bind('int setfsgid(unsigned int gid)'),
  };
  return bound;
}

/** A user namespace with given mappings, held open; nobody is in it. Dispose it. */
export class HeldUserNamespace implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  static async create(maps: {
    uids: readonly IdRange[];
    gids: readonly IdRange[];
  }): Promise<HeldUserNamespace> {
    const child = spawn('unshare', ['--user', '--', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
      const own = readlinkSync('/proc/self/ns/user');
      while (readlinkSync(`/proc/${child.pid}/ns/user`) === own) await sleep(1);
      const text = (ranges: readonly IdRange[]): string =>
        ranges.map(({ inside, outside, size }) => `${inside} ${outside} ${size}\n`).join('');
      writeFileSync(`/proc/${child.pid}/uid_map`, text(maps.uids));
      writeFileSync(`/proc/${child.pid}/gid_map`, text(maps.gids));
      return new HeldUserNamespace(openSync(`/proc/${child.pid}/ns/user`, 'r'));
    } finally {
      child.kill('SIGKILL');
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/**
 * Mounts a directory at another place, or over itself, with the owners of its files mapped as in a user namespace: what
 * lies there as root's is its root's. Needs a file system that can: ext4, xfs and btrfs since Linux 5.15. Mounts, so it
 * runs only in a mount namespace of its own. @throws SyscallError @see mount_setattr(2), MOUNT_ATTR_IDMAP
 */
export function mountIdmapped(source: string, target: string, namespace: HeldUserNamespace): void {
  const nothing = Buffer.from('\0');
  const tree = Number(
    calls().openTree(
      SYS_OPEN_TREE,
      AT_FDCWD,
      Buffer.from(`${source}\0`),
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC,
    ),
  );
  if (tree < 0) fail('open_tree', source);
  try {
    // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
    const attributes = new BigUint64Array([MOUNT_ATTR_IDMAP, 0n, 0n, BigInt(namespace.fd)]);
    const set = calls().setAttributes(
      SYS_MOUNT_SETATTR,
      tree,
      nothing,
      AT_EMPTY_PATH,
      attributes,
      attributes.byteLength,
    );
    if (Number(set) !== 0) fail('mount_setattr', source);
    const moved = calls().moveMount(
      SYS_MOVE_MOUNT,
      tree,
      nothing,
      AT_FDCWD,
      Buffer.from(`${target}\0`),
      MOVE_MOUNT_F_EMPTY_PATH,
    );
    if (Number(moved) !== 0) fail('move_mount', target);
  } finally {
    closeSync(tree);
  }
}

/**
 * Does something on this thread as the owner `uid` and `gid` of what it makes, with all of root's rights: overlayfs makes
 * its own files as who mounts it, and on an idmapped file system root is nobody.
 */
export function asFileOwner<Result>(
  { uid, gid }: { uid: number; gid: number },
  action: () => Result,
): Result {
  const libc = calls();
  libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
  libc.setfsuid(uid);
  libc.setfsgid(gid);
  try {
    return action();
  } finally {
    libc.setfsuid(0);
    libc.setfsgid(0);
    libc.prctl(PR_SET_SECUREBITS, 0, 0, 0, 0);
  }
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function fail(syscall: string, path: string): never {
  const number = loadKoffi().errno();
  const errno = errnoNames.get(number) ?? `errno ${number}`;
  const reason = getSystemErrorMap().get(-number)?.[1] ?? 'unknown error';
  throw new SyscallError({ syscall, errno, reason, path });
}
