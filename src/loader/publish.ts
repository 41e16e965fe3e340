import { copyFileSync, existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { removeOnFat, renameOnFat, syncTree } from '../system/durable.ts';
import { freeBytes } from '../system/free-space.ts';
import { makeRoomyDirectory } from './fat-room.ts';
import { publishExtlinux } from './extlinux.ts';
import { publishGrub } from './grub.ts';
import { removeLoaderFile } from './loader-file.ts';
import type { LoaderName, Machine } from './machine.ts';
import { BOOT_DIRECTORY, type BootFiles, type LoaderPlan } from './plan.ts';
import { publishRefind } from './refind.ts';
import { publishSystemdBoot } from './systemd-boot.ts';

const publishers: Record<LoaderName, (root: string, plan: LoaderPlan, esp: string) => void> = {
  'systemd-boot': publishSystemdBoot,
  grub: publishGrub,
  refind: publishRefind,
  extlinux: publishExtlinux,
};

/** For entries, and what a file system needs for itself. */
const SPARE_BYTES = 1 << 20;
const NEW_PREFIX = '.new-';
const HALF_WRITTEN = /^\.new-(?:imgboot.*|loader\.conf|custom\.cfg|refind\.conf|extlinux\.conf)$/;
/**
 * What is left of our names on a FAT without power: a long name may go before the short one that stands for it, which
 * nobody sees otherwise.
 */
const SHORT_ENTRY = /^(?:imgboo|new-..)~[0-9]+\.(?:con|cfg)$/i;
const SHORT_DIRECTORY = /^[^.~]{1,6}~[0-9]+$/;
const OURS = /^[a-z0-9][a-z0-9._-]*-[0-9]+$/;

/**
 * Makes the loader's files equal to a plan: kernels and entries that are new, then the default, then what is gone is
 * deleted. At any moment the default can be booted. Idempotent; durable when it returns.
 * @param root the top of the loader's file system
 * @param esp the top of the ESP, where that is another: `plan.machine.esp`
 * @throws IMGBOOT_NO_SPACE before anything is written
 */
export function publish(root: string, plan: LoaderPlan, esp = root): void {
  const configuration = join(root, plan.machine.directory);
  const own = join(esp, plan.machine.directory);
  for (const directory of new Set([configuration, join(configuration, 'entries'), own]))
    removeHalfWritten(directory);
  copyKernels(root, plan);
  publishers[plan.machine.loader](root, plan, esp);
  for (const top of new Set([root, esp])) syncTree(top);
  // On the store's own file system /imgboot may be the store.
  if (plan.machine.boot !== null) removeKernels(root, plan.files);
}

/** Those that get new names, from the top of the loader's file system. */
export function changingDirectories({ loader, directory }: Pick<Machine, 'loader' | 'directory'>): string[] {
  const entries = loader === 'systemd-boot' ? [join(directory, 'entries')] : [];
  return [BOOT_DIRECTORY, directory, ...entries];
}

/** What a write that was stopped has left beside its file. */
function removeHalfWritten(directory: string): void {
  for (const name of namesIn(directory)) {
    if (HALF_WRITTEN.test(name) || SHORT_ENTRY.test(name)) removeLoaderFile(join(directory, name));
  }
}

function copyKernels(root: string, { files, machine }: LoaderPlan): void {
  const missing = files.filter((one) => !isThere(root, one));
  if (missing.length === 0) return;
  const needed = missing.reduce((sum, one) => sum + sizeOf(one.kernel) + sizeOf(one.initrd), SPARE_BYTES);
  const free = freeBytes(root);
  if (needed > free) throw noSpace({ needed, free });
  for (const directory of changingDirectories(machine)) makeRoomyDirectory(join(root, directory));
  const top = join(root, BOOT_DIRECTORY);
  for (const { directory, kernel, initrd } of missing) {
    const aside = join(top, `${NEW_PREFIX}${directory}`);
    for (const old of [aside, join(top, directory)]) if (existsSync(old)) removeOnFat(old);
    mkdirSync(aside);
    copyFileSync(kernel, join(aside, 'vmlinuz'));
    copyFileSync(initrd, join(aside, 'initrd.img'));
    syncTree(aside);
    renameOnFat(aside, join(top, directory));
  }
}

/** A directory gets its name when what is in it is on the disk. */
function isThere(root: string, { directory, kernel, initrd }: BootFiles): boolean {
  const there = join(root, BOOT_DIRECTORY, directory);
  const same = (name: string, source: string): boolean =>
    statSync(join(there, name), { throwIfNoEntry: false })?.size === sizeOf(source);
  return same('vmlinuz', kernel) && same('initrd.img', initrd);
}

function removeKernels(root: string, files: readonly BootFiles[]): void {
  const top = join(root, BOOT_DIRECTORY);
  const wanted = new Set(files.map(({ directory }) => directory));
  for (const name of namesIn(top)) {
    const isLeft = name.startsWith(NEW_PREFIX) || SHORT_DIRECTORY.test(name);
    if (isLeft || (OURS.test(name) && !wanted.has(name))) removeOnFat(join(top, name));
  }
  if (wanted.size === 0 && existsSync(top) && readdirSync(top).length === 0) rmdirSync(top);
  syncTree(root);
}

/** None where there is no such directory. */
function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function sizeOf(path: string): number {
  return statSync(path).size;
}

function noSpace({ needed, free }: { needed: number; free: number }): ImgbootError {
  const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  return new ImgbootError(
    'IMGBOOT_NO_SPACE',
    `the boot loader's file system has ${mb(free)} free, and kernel and initramfs need ${mb(needed)}`,
    { hint: 'free space there, undeploy what is not needed, or keep fewer versions (--keep)' },
  );
}
