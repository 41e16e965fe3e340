import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import { findProgram } from '../system/requirements-check.ts';
import { FALLBACK_PROGRAM, findLoaderFile } from './loader-files.ts';

const SECTOR_BYTES = 512;
/** GRUB's boot.img, and the part of it that a partition table leaves to code. @see GRUB's i386/pc/boot.h */
export const BOOT_CODE_BYTES = 440;
const AT_CORE_SECTOR = 0x5c;
const AT_DRIVE_CHECK = 0x66;
/** Two instructions that do nothing: take the drive that the BIOS says. */
const NO_OPERATION = 0x9090;
/** The last entry of the list of blocks in the core's first sector: where, how many, and to which segment. */
const AT_BLOCK_LIST = 0x1f4;
const KERNEL_SEGMENT = 0x820;

const commonModules =
  'fat part_gpt search search_fs_uuid search_label normal configfile linux test echo true loadenv serial terminal minicmd ls cat sleep reboot halt'.split(
    ' ',
  );
const modules = {
  'x86_64-efi': [...commonModules, 'efi_gop', 'efi_uga', 'efifwsetup', 'chain'],
  'i386-pc': [...commonModules, 'biosdisk', 'vbe', 'vga'],
};

/** Makes GRUB as an EFI program in a directory that becomes the ESP. */
export async function stageGrubForUefi(staging: string, place: GrubPlace): Promise<void> {
  const output = join(staging, FALLBACK_PROGRAM);
  mkdirSync(dirname(output), { recursive: true });
  await makeImage('x86_64-efi', { ...place, output });
}

export interface GrubPlace {
  /** The file system with `/grub/grub.cfg`, as blkid names it. */
  espUuid: string;
  /** A directory for files in between. */
  scratch: string;
}

/** What is written to a disk by hand, so that BIOS starts GRUB. */
export interface GrubForBios {
  /** The first {@link BOOT_CODE_BYTES} of the disk. */
  bootCode: Buffer;
  /** The BIOS boot partition. */
  core: Buffer;
}

/** @param biosBoot the BIOS boot partition */
export async function makeGrubForBios(
  place: GrubPlace,
  biosBoot: { offsetBytes: number; sizeBytes: number },
): Promise<GrubForBios> {
  const output = join(place.scratch, 'core.img');
  const directory = await makeImage('i386-pc', { ...place, output });
  if (statSync(output).size > biosBoot.sizeBytes)
    throw new ImgbootError('IMGBOOT_NO_SPACE', "GRUB's core does not fit the BIOS boot partition");
  return linkBootCode(readFileSync(join(directory, 'boot.img')), {
    core: readFileSync(output),
    firstSector: biosBoot.offsetBytes / SECTOR_BYTES,
  });
}

/**
 * Tells the boot code where the core is, and the core where the rest of it is, as grub-bios-setup does on a device.
 * Pure. @see GRUB's util/setup.c
 */
export function linkBootCode(
  bootImage: Buffer,
  { core, firstSector }: { core: Buffer; firstSector: number },
): GrubForBios {
  const bootCode = Buffer.from(bootImage.subarray(0, BOOT_CODE_BYTES));
  bootCode.writeBigUInt64LE(BigInt(firstSector), AT_CORE_SECTOR);
  bootCode.writeUInt16LE(NO_OPERATION, AT_DRIVE_CHECK);
  const linked = Buffer.from(core);
  linked.writeBigUInt64LE(BigInt(firstSector + 1), AT_BLOCK_LIST);
  linked.writeUInt16LE(Math.ceil(core.length / SECTOR_BYTES) - 1, AT_BLOCK_LIST + 8);
  linked.writeUInt16LE(KERNEL_SEGMENT, AT_BLOCK_LIST + 10);
  return { bootCode, core: linked };
}

/** @returns the directory with GRUB's files for that platform */
async function makeImage(
  platform: keyof typeof modules,
  { espUuid, scratch, output }: GrubPlace & { output: string },
): Promise<string> {
  const kind = platform === 'i386-pc' ? 'grub for bios' : 'grub for uefi';
  // Its modules and the program that joins them must be of the same make.
  const directory = dirname(findLoaderFile(kind, ['/']));
  const program = (await findProgram('grub-mkimage')) ?? (await findProgram('grub2-mkimage'));
  const start = join(scratch, 'start.cfg');
  writeFileSync(
    start,
    `search --no-floppy --fs-uuid --set=root ${espUuid}\nset prefix=($root)/grub\nconfigfile ($root)/grub/grub.cfg\n`,
  );
  const options = ['--format', platform, '--directory', directory, '--config', start, '--prefix', '/grub'];
  await runCommand(program ?? 'grub-mkimage', [...options, '--output', output, ...modules[platform]]);
  return directory;
}
