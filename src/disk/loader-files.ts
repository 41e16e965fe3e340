import { copyFileSync, existsSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { LoaderName } from '../loader/machine.ts';
import { canonicalPath } from '../system/canonical-path.ts';

/** What a firmware starts from a disk that it knows nothing about. */
export const FALLBACK_PROGRAM = 'EFI/BOOT/BOOTX64.EFI';

/** Files of boot loaders, wherever distributions put them. */
export const loaderFiles = {
  'systemd-boot': ['/usr/lib/systemd/boot/efi/systemd-bootx64.efi'],
  refind: [
    '/usr/share/refind/refind/refind_x64.efi',
    '/usr/share/refind/refind_x64.efi',
    '/usr/share/rEFInd/refind/refind_x64.efi',
  ],
  'grub for uefi': ['/usr/lib/grub/x86_64-efi/moddep.lst'],
  'grub for bios': ['/usr/lib/grub/i386-pc/moddep.lst'],
  'extlinux (gptmbr.bin)': [
    '/usr/lib/syslinux/mbr/gptmbr.bin',
    '/usr/lib/syslinux/bios/gptmbr.bin',
    '/usr/share/syslinux/gptmbr.bin',
  ],
  'extlinux (menu.c32)': [
    '/usr/lib/syslinux/modules/bios/menu.c32',
    '/usr/lib/syslinux/bios/menu.c32',
    '/usr/share/syslinux/menu.c32',
  ],
} as const;
export type LoaderFile = keyof typeof loaderFiles;

const packages: Record<LoaderFile, string> = {
  'systemd-boot': 'systemd-boot-efi',
  refind: 'refind',
  'grub for uefi': 'grub-efi-amd64-bin',
  'grub for bios': 'grub-pc-bin',
  'extlinux (gptmbr.bin)': 'syslinux-common',
  'extlinux (menu.c32)': 'syslinux-common',
};

/** A loader's file in one of these root file systems: the first that has it. @throws IMGBOOT_NO_LOADER_FILES */
export function findLoaderFile(name: LoaderFile, roots: readonly string[]): string {
  for (const root of roots) {
    for (const path of loaderFiles[name]) {
      const found = `${root === '/' ? '' : root}${canonicalPath(root, path)}`;
      if (lstatSync(found, { throwIfNoEntry: false })?.isFile() === true) return found;
    }
  }
  throw noLoaderFiles(
    name,
    roots.length > 1 ? 'neither the image nor this host has it' : 'this host lacks it',
  );
}

/** @throws IMGBOOT_NO_LOADER_FILES */
export function noLoaderFiles(name: LoaderFile, why: string): ImgbootError {
  const where = why.includes('image') ? 'in the image or here' : 'here';
  return new ImgbootError('IMGBOOT_NO_LOADER_FILES', `there is no ${name} to put on the disk: ${why}`, {
    hint: `install Debian's package ${packages[name]} (or its like) ${where}; imgboot doctor disk tells what else is missing`,
  });
}

/**
 * Puts a loader and its own configuration into a directory that becomes the ESP; GRUB's programs come from elsewhere.
 * @param roots where its files may be: the image's root file system, this host's
 */
export function stageLoader(staging: string, loader: LoaderName, roots: readonly string[]): void {
  stagers[loader](staging, roots);
}

const stagers: Record<LoaderName, (staging: string, roots: readonly string[]) => void> = {
  'systemd-boot'(staging, roots) {
    const program = findLoaderFile('systemd-boot', roots);
    for (const name of [FALLBACK_PROGRAM, 'EFI/systemd/systemd-bootx64.efi']) copyTo(staging, name, program);
    write(staging, 'loader/loader.conf', `timeout ${TIMEOUT_SECONDS}\n`);
    // Who finds this knows that the entries are of the first type of the Boot Loader Specification.
    write(staging, 'loader/entries.srel', 'type1\n');
  },
  grub(staging) {
    write(staging, 'grub/grub.cfg', grubConfiguration);
    write(staging, 'grub/grubenv', '# GRUB Environment Block\n'.padEnd(1024, '#'));
  },
  refind(staging, roots) {
    copyTo(staging, FALLBACK_PROGRAM, findLoaderFile('refind', roots));
    write(staging, 'EFI/BOOT/refind.conf', refindConfiguration);
  },
  extlinux(staging) {
    // A host's program puts it on the disk: its modules must be of the same make.
    const menu = findLoaderFile('extlinux (menu.c32)', ['/']);
    for (const module of ['menu.c32', 'libutil.c32']) {
      const file = join(dirname(menu), module);
      if (existsSync(file)) copyTo(staging, `extlinux/${module}`, file);
    }
    write(staging, 'extlinux/extlinux.conf', extlinuxConfiguration);
  },
};

/** For a choice at the menu. */
const TIMEOUT_SECONDS = 3;

/** `grub-reboot` chooses an entry for one boot. */
const grubConfiguration = `set timeout=${TIMEOUT_SECONDS}
serial --unit=0 --speed=115200
terminal_input --append serial
terminal_output --append serial
load_env
if [ -n "$next_entry" ]; then
  set default="$next_entry"
  set next_entry=
  save_env next_entry
  set boot_once=true
fi
source "$prefix/imgboot.cfg"
`;

const refindConfiguration = `timeout ${TIMEOUT_SECONDS}
textonly true
use_nvram false
scanfor manual
`;

const extlinuxConfiguration = `SERIAL 0 115200
UI menu.c32
PROMPT 0
TIMEOUT ${TIMEOUT_SECONDS * 10}
`;

function copyTo(staging: string, name: string, from: string): void {
  mkdirSync(dirname(join(staging, name)), { recursive: true });
  copyFileSync(from, join(staging, name));
}

function write(staging: string, name: string, text: string): void {
  mkdirSync(dirname(join(staging, name)), { recursive: true });
  writeFileSync(join(staging, name), text);
}
