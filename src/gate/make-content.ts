import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { createSubvolume, deleteSubvolume, subvolumeId } from '../system/btrfs.ts';
import { runCommand } from '../system/exec.ts';
import { unmount } from '../system/libc.ts';
import type { Content } from './part.ts';

const MEBIBYTE = 2 ** 20;

/** What can be made, and how small. */
const leastBytes: Readonly<Record<string, number>> = {
  ext2: 64 * MEBIBYTE,
  ext3: 64 * MEBIBYTE,
  ext4: 64 * MEBIBYTE,
  // mkfs.btrfs wants 109 MiB, mkfs.xfs 300.
  btrfs: 160 * MEBIBYTE,
  xfs: 320 * MEBIBYTE,
  vfat: 64 * MEBIBYTE,
  ntfs: 32 * MEBIBYTE,
  swap: 16 * MEBIBYTE,
};

/** Whether the gate can make a content of this type. */
export function isMakeable(type: string): boolean {
  return type in leastBytes;
}

/** Room for what a content is to hold, and then some. */
export function contentBytes({ type }: Content, heldBytes: number): number {
  const least = type === undefined ? MEBIBYTE : leastBytes[type]!;
  return least + Math.ceil((heldBytes * 1.5) / MEBIBYTE) * MEBIBYTE;
}

/**
 * Makes a content in a file that is as large as it is to be. It is mounted, where it has to be filled, under a UUID of
 * its own, and gets the one that it is to have afterwards: neither the kernel nor udev ever sees two of one UUID.
 * Mounts: runs only in a mount namespace of its own.
 * @param request.mountPoint an empty directory
 * @param request.fill called when it is mounted, subvolumes and directories made
 */
export async function makeContent(
  file: string,
  content: Content,
  request: { mountPoint: string; fill: (mountPoint: string) => Promise<void> },
): Promise<void> {
  const { type, uuid } = content;
  if (type === undefined) return;
  const isFilled =
    content.holdsStore || content.subvolumes.length + content.directories.length + content.copies.length > 0;
  if (!isFilled || !(type in retag)) {
    await format(file, content);
    return;
  }
  await format(file, { ...content, uuid: undefined });
  await runCommand('mount', ['-t', type, '-o', 'loop', file, request.mountPoint]);
  try {
    makeSubvolumes(request.mountPoint, content.subvolumes);
    for (const path of content.directories) mkdirSync(join(request.mountPoint, path), { recursive: true });
    await request.fill(request.mountPoint);
  } finally {
    unmount(request.mountPoint);
  }
  if (uuid !== undefined) await runUnseeing(...retag[type]!(file, uuid));
}

type Command = [program: string, args: string[]];

/** What gives another UUID to a file system that is not mounted, and needs no kernel for it. */
const retag: Readonly<Record<string, (file: string, uuid: string) => Command>> = {
  ext2: (file, uuid) => ['tune2fs', ['-U', uuid, file]],
  ext3: (file, uuid) => ['tune2fs', ['-U', uuid, file]],
  ext4: (file, uuid) => ['tune2fs', ['-U', uuid, file]],
  btrfs: (file, uuid) => ['btrfstune', ['-f', '-M', uuid, file]],
  xfs: (file, uuid) => ['xfs_admin', ['-f', '-U', uuid, file]],
};

/** btrfs-progs refuse a UUID that a device of the host has: they are shown none. */
async function runUnseeing(program: string, args: string[]): Promise<void> {
  const script = 'mount --bind /dev/null /proc/partitions; mount -t tmpfs none /sys/block; exec "$@"';
  await runCommand(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', program, ...args],
    { env: { BLKID_FILE: '/dev/null' } },
  );
}

async function format(file: string, { type, uuid, label }: Content): Promise<void> {
  const option = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [name, value];
  // What lies in LUKS has sectors of 4096 bytes.
  const blocks = ['-b', '4096'];
  const commands: Readonly<Record<string, () => Command>> = {
    ext2: () => ['mkfs.ext2', ['-q', '-F', ...blocks, ...option('-U', uuid), ...option('-L', label), file]],
    ext3: () => ['mkfs.ext3', ['-q', '-F', ...blocks, ...option('-U', uuid), ...option('-L', label), file]],
    // With the seed of its checksums apart from its UUID, that can be changed at no cost. Linux 4.4.
    ext4: () => [
      'mkfs.ext4',
      [
        '-q',
        '-F',
        ...blocks,
        '-O',
        'metadata_csum_seed',
        ...option('-U', uuid),
        ...option('-L', label),
        file,
      ],
    ],
    btrfs: () => ['mkfs.btrfs', ['-q', '-f', ...option('-U', uuid), ...option('-L', label), file]],
    xfs: () => [
      'mkfs.xfs',
      ['-q', '-f', '-s', 'size=4096', ...option('-m', uuid && `uuid=${uuid}`), ...option('-L', label), file],
    ],
    vfat: () => [
      'mkfs.vfat',
      ['-F', '32', '-s', '1', ...option('-i', uuid?.replace('-', '')), ...option('-n', label), file],
    ],
    ntfs: () => ['mkntfs', ['--fast', '--force', '--quiet', ...option('--label', label), file]],
    swap: () => ['mkswap', ['--quiet', ...option('--uuid', uuid), ...option('--label', label), file]],
  };
  await runUnseeing(...commands[type!]!());
  if (type === 'ntfs' && uuid !== undefined) writeNtfsSerial(file, uuid);
}

/** Linux' fs/ntfs3/ntfs.h: NTFS_BOOT.serial_num, which blkid shows as 16 digits. */
const NTFS_SERIAL_OFFSET = 0x48;

function writeNtfsSerial(file: string, uuid: string): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(`0x${uuid}`));
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, NTFS_SERIAL_OFFSET);
  closeSync(fd);
}

/** btrfs numbers the first subvolume so, and each further one by one more; linux/btrfs_tree.h */
const BTRFS_FIRST_FREE_OBJECTID = 256;
/** As many subvolumes may have come and gone before one that is asked for by its number. */
const MOST_NUMBERS = 20_000;

/** Makes subvolumes, with the numbers that they are asked for by. */
function makeSubvolumes(top: string, subvolumes: Content['subvolumes']): void {
  const byPath = new Map(subvolumes.map((one) => [one.path, one]));
  const ordered = [...byPath.values()].toSorted(
    (a, b) => (a.id ?? Infinity) - (b.id ?? Infinity) || a.path.length - b.path.length,
  );
  let next = BTRFS_FIRST_FREE_OBJECTID;
  for (const { path, id } of ordered) {
    const place = join(top, path);
    mkdirSync(dirname(place), { recursive: true });
    for (const end = Math.min(id ?? 0, MOST_NUMBERS); next < end; next += 1) {
      createSubvolume(join(top, '.number'));
      deleteSubvolume(join(top, '.number'));
    }
    createSubvolume(place);
    next += 1;
    if (id === undefined || subvolumeId(place) === id) continue;
    throw new ImgbootError(
      'IMGBOOT_GATE_CANNOT_IMITATE',
      `the gate cannot make the btrfs subvolume ${path} with the number ${id}`,
      { hint: 'leave subvolid= out of fstab, where subvol= says the same' },
    );
  }
}
