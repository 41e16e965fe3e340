import { closeSync, openSync } from 'node:fs';
import { failIoctl, ioctl } from './ioctl.ts';
import { loadKoffi } from './koffi.ts';
import { syncFilesystem } from './libc.ts';

/** linux/btrfs.h: BTRFS_IOC_TREE_SEARCH_V2, and where struct btrfs_ioctl_search_args_v2 has its fields. */
const TREE_SEARCH_V2 = 0xc0709411;
const ARGUMENTS_AT = {
  treeId: 0,
  minObject: 8,
  maxObject: 16,
  minOffset: 24,
  maxOffset: 32,
  minGeneration: 40,
  maxGeneration: 48,
  minType: 56,
  maxType: 60,
  items: 64,
  bufferSize: 104,
  buffer: 112,
} as const;
/** BTRFS_IOC_GET_SUBVOL_INFO, and where struct btrfs_ioctl_get_subvol_info_args has its fields. */
const GET_SUBVOL_INFO = 0x81f8943c;
const INFO_AT = { uuid: 296, parentUuid: 312, changed: 344, made: 352 } as const;
const INFO_BYTES = 504;
const UUID_BYTES = 16;
/** struct btrfs_ioctl_search_header */
const HEADER = { generation: 0, object: 8, offset: 16, type: 24, length: 28, bytes: 32 } as const;
const BUFFER_BYTES = 1 << 20;
/** linux/btrfs_tree.h */
const INODE_ITEM = 1;
const INODE_REF = 12;
const INODE_EXTREF = 13;
/** BTRFS_FIRST_FREE_OBJECTID, BTRFS_LAST_FREE_OBJECTID */
const FIRST_INODE = 256n;
const LAST_INODE = 0xffff_ffff_ffff_ff00n;
const ROOT_INODE = 256;
const MAX = 0xffff_ffff_ffff_ffffn;
/** struct btrfs_inode_item: the generation of the last change, and st_ctime; struct btrfs_inode_extref: the directory. */
const INODE_AT = { changed: 8, ctime: 124, ctimeEnd: 136 } as const;
const EXTREF_PARENT_AT = 0;

/**
 * The generation in which a subvolume became a snapshot of another that has not changed since: generations are those of
 * the file system's transactions, which only grow. Undefined where it is none, or nobody can tell.
 */
export function snapshotGeneration(snapshot: string, source: string): bigint | undefined {
  const [own, other] = [infoOf(snapshot), infoOf(source)];
  if (own === undefined || other === undefined) return undefined;
  const isSnapshot = uuidAt(own, INFO_AT.parentUuid).equals(uuidAt(other, INFO_AT.uuid));
  const madeIn = own.readBigUInt64LE(INFO_AT.made);
  return isSnapshot && other.readBigUInt64LE(INFO_AT.changed) <= madeIn ? madeIn : undefined;
}

function infoOf(subvolume: string): Buffer | undefined {
  const info = Buffer.alloc(INFO_BYTES);
  const fd = openSync(subvolume, 'r');
  try {
    // Some kernels return 1 for success.
    return ioctl().withBuffer(fd, GET_SUBVOL_INFO, info) >= 0 ? info : undefined;
  } finally {
    closeSync(fd);
  }
}

function uuidAt(info: Buffer, offset: number): Buffer {
  return info.subarray(offset, offset + UUID_BYTES);
}

/**
 * The directories of a snapshot in which, or somewhere below which, something is otherwise than in its source: their
 * inode numbers. It costs what was changed, not what there is. Everything is flushed first: what waits in memory is in
 * no tree. Needs root.
 * @param options `since`: as {@link snapshotGeneration} has it; `limit`: with more inodes that were written to than
 *   these, looking at everything is quicker: undefined
 * @throws SyscallError
 */
export function changedDirectories(
  snapshot: string,
  { source, since, limit }: { source: string; since: bigint; limit: number },
): ReadonlySet<number> | undefined {
  const fds = [openSync(snapshot, 'r'), openSync(source, 'r')] as const;
  try {
    syncFilesystem(fds[0]);
    const [own, other] = [new Search(fds[0], snapshot), new Search(fds[1], source)];
    const written = new Map<number, Buffer>();
    for (const { type, inode, data } of own.items({ first: FIRST_INODE, last: LAST_INODE, since })) {
      if (type !== INODE_ITEM || data.readBigUInt64LE(INODE_AT.changed) < since) continue;
      written.set(inode, Buffer.from(ctimeOf(data)));
      if (written.size > limit) return undefined;
    }
    // Of most, somebody has only read: the time of that is written, too.
    const changed = [...written].filter(([inode, ctime]) => other.ctimeOf(inode)?.equals(ctime) !== true);
    return withAncestors(
      own,
      changed.map(([inode]) => inode),
    );
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function withAncestors(search: Search, inodes: readonly number[]): Set<number> {
  const found = new Set(inodes);
  const todo = [...inodes];
  for (let inode = todo.pop(); inode !== undefined; inode = todo.pop()) {
    for (const parent of search.parentsOf(inode)) {
      if (!found.has(parent)) todo.push(parent);
      found.add(parent);
    }
  }
  return found;
}

function ctimeOf(inodeItem: Buffer): Buffer {
  return inodeItem.subarray(INODE_AT.ctime, INODE_AT.ctimeEnd);
}

interface Item {
  inode: number;
  offset: bigint;
  type: number;
  /** Only lent. */
  data: Buffer;
}

class Search {
  readonly #fd: number;
  readonly #path: string;
  readonly #arguments = Buffer.alloc(ARGUMENTS_AT.buffer + BUFFER_BYTES);

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** When an inode was last changed, as it is kept; undefined where there is none. Only lent. */
  ctimeOf(inode: number): Buffer | undefined {
    const own = BigInt(inode);
    for (const { type, data } of this.items({
      first: own,
      last: own,
      since: 0n,
      types: [INODE_ITEM, INODE_ITEM],
    }))
      if (type === INODE_ITEM) return ctimeOf(data);
    return undefined;
  }

  /** The directories that have a name of an inode. */
  parentsOf(inode: number): number[] {
    if (inode === ROOT_INODE) return [];
    const parents: number[] = [];
    const own = BigInt(inode);
    for (const item of this.items({ first: own, last: own, since: 0n, types: [INODE_REF, INODE_EXTREF] })) {
      if (item.type === INODE_REF) parents.push(Number(item.offset));
      else if (item.type === INODE_EXTREF) parents.push(Number(item.data.readBigUInt64LE(EXTREF_PARENT_AT)));
    }
    return parents;
  }

  /** The items of a range of inodes, of leaves that were written in a generation or later. */
  *items(range: { first: bigint; last: bigint; since: bigint; types?: [number, number] }): Generator<Item> {
    const [firstType, lastType] = range.types ?? [0, 0xff];
    const key = this.#arguments;
    key.fill(0, 0, ARGUMENTS_AT.buffer);
    key.writeBigUInt64LE(range.last, ARGUMENTS_AT.maxObject);
    key.writeBigUInt64LE(MAX, ARGUMENTS_AT.maxOffset);
    key.writeBigUInt64LE(range.since, ARGUMENTS_AT.minGeneration);
    key.writeBigUInt64LE(MAX, ARGUMENTS_AT.maxGeneration);
    key.writeUInt32LE(lastType, ARGUMENTS_AT.maxType);
    let next: { inode: bigint; type: number; offset: bigint } | undefined = {
      inode: range.first,
      type: firstType,
      offset: 0n,
    };
    while (next !== undefined) {
      key.writeBigUInt64LE(next.inode, ARGUMENTS_AT.minObject);
      key.writeUInt32LE(next.type, ARGUMENTS_AT.minType);
      key.writeBigUInt64LE(next.offset, ARGUMENTS_AT.minOffset);
      key.writeUInt32LE(0xffff_ffff, ARGUMENTS_AT.items);
      key.writeBigUInt64LE(BigInt(BUFFER_BYTES), ARGUMENTS_AT.bufferSize);
      if (ioctl().withBuffer(this.#fd, TREE_SEARCH_V2, key) !== 0)
        failIoctl('BTRFS_IOC_TREE_SEARCH_V2', loadKoffi().errno(), this.#path);
      const batch = this.#batch(key.readUInt32LE(ARGUMENTS_AT.items));
      yield* batch;
      next = following(batch.at(-1));
    }
  }

  #batch(count: number): Item[] {
    const items: Item[] = [];
    let at: number = ARGUMENTS_AT.buffer;
    for (let index = 0; index < count; index += 1) {
      const length = this.#arguments.readUInt32LE(at + HEADER.length);
      const start = at + HEADER.bytes;
      items.push({
        inode: Number(this.#arguments.readBigUInt64LE(at + HEADER.object)),
        offset: this.#arguments.readBigUInt64LE(at + HEADER.offset),
        type: this.#arguments.readUInt32LE(at + HEADER.type),
        data: this.#arguments.subarray(start, start + length),
      });
      at = start + length;
    }
    return items;
  }
}

/** The key after an item's. */
function following(item: Item | undefined): { inode: bigint; type: number; offset: bigint } | undefined {
  if (item === undefined) return undefined;
  if (item.offset < MAX) return { inode: BigInt(item.inode), type: item.type, offset: item.offset + 1n };
  if (item.type < 0xff) return { inode: BigInt(item.inode), type: item.type + 1, offset: 0n };
  return { inode: BigInt(item.inode) + 1n, type: 0, offset: 0n };
}
