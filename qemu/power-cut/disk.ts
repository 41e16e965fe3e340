import { kernelWords } from './sessions.ts';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import type { LoaderName } from '../../src/loader/machine.ts';
import type { FirmwareName } from '../../src/vm/firmware.ts';
import { diskParts, onEsp, onRoot, type Part, type PartedDisk } from '../../test/support/disk-parts.ts';
import { repository } from '../../test/support/paths.ts';
import { REFERENCE } from './images.ts';

/** What disks are made for the sweep. */
export interface DiskKind {
  filesystem: 'btrfs' | 'ext4';
  loader: LoaderName;
  firmware: FirmwareName;
}

/** A disk with a machine of one version, whose store has a newer image of the reference that it follows. */
export interface SweepDisk extends DiskKind, PartedDisk {}

const SIZE = '2G';
/** What the machine's own files have, all together. */
const TOP_FILES = 16;
const TOP_FILE_BYTES = 4096;
/** The image has a file there, too. */
export const TOP_BYTES = TOP_FILES * TOP_FILE_BYTES + 'of the image\n'.length;
export const imgboot = path.join(repository, 'bin/imgboot');

/** Makes the disk with `imgboot disk`, and puts the second image into its store. */
export async function makeSweepDisk(
  directory: string,
  { images, kind }: { images: { one: string; two: string }; kind: DiskKind },
): Promise<SweepDisk> {
  const store = path.join(directory, 'store');
  await execa(imgboot, ['load', '--store', store, '--input', images.one]);
  const top = path.join(directory, 'top');
  await mkdir(path.join(top, 'etc/top'), { recursive: true });
  for (let file = 0; file < TOP_FILES; file += 1)
    await writeFile(path.join(top, 'etc/top', String(file)), String(file).padStart(TOP_FILE_BYTES, '0'));
  const disk = path.join(directory, 'disk');
  const { filesystem, loader, firmware } = kind;
  await execa(imgboot, [
    'disk',
    REFERENCE,
    `--store=${store}`,
    `--output=${disk}`,
    '--format=raw',
    `--size=${SIZE}`,
    `--fs=${filesystem}`,
    `--bootloader=${loader}`,
    `--firmware=${firmware}`,
    `--top-layer=${top}`,
    '--persist=/home',
    '--modules=virtio',
    `--append=${kernelWords}`,
  ]);
  const made = { ...kind, path: disk, ...(await diskParts(disk)) };
  await onRoot(made, `'${imgboot}' load --store "$root/imgboot" --input '${images.two}'`);
  await endMenu(made);
  await execa('rm', ['-rf', store]);
  return made;
}

/** Where a loader has its time for a choice at the menu, and what it says for none. */
const menus: Partial<Record<LoaderName, { file: string; from: RegExp; to: string }>> = {
  'systemd-boot': { file: '::/loader/loader.conf', from: /^timeout \d+$/m, to: 'timeout 0' },
  grub: { file: '::/grub/grub.cfg', from: /^set timeout=\d+$/m, to: 'set timeout=0' },
  extlinux: { file: '::/extlinux/extlinux.conf', from: /^TIMEOUT \d+$/m, to: 'TIMEOUT 1' },
};

/** Nobody is there to choose anything. */
async function endMenu(disk: SweepDisk): Promise<void> {
  const menu = menus[disk.loader];
  if (menu === undefined) return;
  const text = await readLoaderFile(disk, menu.file);
  const input = text.replace(menu.from, menu.to);
  if (input === text) throw new Error(`${menu.file} has no time for a choice`);
  await onEsp(disk, 'mcopy', ['-o', '-', menu.file], input);
}

/** @param file `::/loader/loader.conf` */
export async function readLoaderFile(disk: SweepDisk, file: string): Promise<string> {
  return await onEsp(disk, 'mtype', [file]);
}

/** The paths of all that is on the loader's file system, directories with a slash at their end. */
export async function listLoaderFiles(disk: SweepDisk): Promise<string[]> {
  const stdout = await onEsp(disk, 'mdir', ['-b', '-/', '::/']);
  return stdout.split('\n').flatMap((line) => (line.startsWith('::/') ? [line.slice(2)] : []));
}

/** What the checkers of both file systems and `imgboot fsck` find fault with, on a disk that no machine uses. */
export async function findFaults(disk: SweepDisk): Promise<string[]> {
  const check = disk.filesystem === 'btrfs' ? ['btrfs', 'check', '--readonly'] : ['e2fsck', '-f', '-n'];
  const faults = [
    ...(await faultsOfPart(disk, { part: disk.root, check, what: disk.filesystem })),
    ...(await faultsOfPart(disk, { part: disk.esp, check: ['fsck.vfat', '-n'], what: 'FAT' })),
  ];
  try {
    await onRoot(disk, `'${imgboot}' fsck --store "$root/imgboot" 2>&1`);
  } catch (error) {
    faults.push(`imgboot fsck: ${(error as { stdout: string }).stdout}`);
  }
  return faults;
}

async function faultsOfPart(
  { path: disk }: SweepDisk,
  { part, check, what }: { part: Part; check: readonly string[]; what: string },
): Promise<string[]> {
  // The loop device ends with the checker.
  const script = `device=$(losetup --find --show --offset "$1" --sizelimit "$2" "$3"); shift 3
    trap 'losetup --detach "$device"' EXIT; "$@" "$device" 2>&1`;
  const sizes = [String(part.offsetBytes), String(part.sizeBytes)];
  const { exitCode, stdout } = await execa('sh', ['-uc', script, 'sh', ...sizes, disk, ...check], {
    reject: false,
  });
  return exitCode === 0 ? [] : [`${what}: ${stdout}`];
}
