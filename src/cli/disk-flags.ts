import { readFileSync } from 'node:fs';
import { Flags } from './oclif.ts';
import { diskFilesystems } from '../boot/disk.ts';
import { chooseBootLoader, firmwareChoices, type FirmwareChoice } from '../disk/boot-loader.ts';
import type { DiskContent } from '../disk/write-disk.ts';
import { Contents } from '../initramfs/contents.ts';
import { parseModuleSelection } from '../initramfs/module-request.ts';
import { ImgbootError } from '../errors.ts';
import { loaderNames, type LoaderName } from '../loader/machine.ts';
import { askSecret } from './ask-secret.ts';
import { bootFlags, moduleFlags } from './deploy-flags.ts';

/** What a disk is to have. */
export const diskFlags = {
  fs: Flags.option({ options: diskFilesystems })({ summary: "the root's file system", default: 'btrfs' }),
  bootloader: Flags.option({ options: loaderNames })({
    summary: 'the boot loader; systemd-boot by default, grub where BIOS is asked for',
  }),
  firmware: Flags.option({ options: firmwareChoices })({
    summary: 'what starts the disk; all that the boot loader works with by default',
  }),
  luks: Flags.boolean({ summary: 'encrypt the root (LUKS2); the image has to have cryptsetup' }),
  'luks-passphrase-file': Flags.file({
    summary:
      'take the passphrase from this file, without a last line end; asked for on the terminal otherwise',
    exists: true,
    dependsOn: ['luks'],
  }),
  'luks-iter-time': Flags.integer({
    summary: 'milliseconds that trying a passphrase takes on this machine',
    default: 2000,
    min: 1,
  }),
  name: Flags.string({ summary: "of the deployment; the image's by default" }),
  writable: bootFlags.writable,
  append: bootFlags.append,
  'top-layer': Flags.directory({ summary: "a directory with this machine's own files", exists: true }),
  persist: bootFlags.persist,
  keep: Flags.integer({ summary: 'how many versions upgrades keep', default: 2, min: 1 }),
  ...moduleFlags,
};

interface DiskFlagValues {
  fs: DiskContent['filesystem'];
  bootloader: LoaderName | undefined;
  firmware: FirmwareChoice | undefined;
  luks: boolean;
  'luks-passphrase-file': string | undefined;
  'luks-iter-time': number;
  name: string | undefined;
  writable: string;
  append: string[];
  'top-layer': string | undefined;
  persist: string[];
  keep: number;
  modules: string;
  kver: string | undefined;
}

/** The domain's names for these flags. @throws IMGBOOT_USAGE */
export async function readDiskFlags(reference: string, flags: DiskFlagValues): Promise<DiskContent> {
  const loader = chooseBootLoader({ loader: flags.bootloader, firmware: flags.firmware });
  const { name, writable, append, keep, kver } = flags;
  return {
    filesystem: flags.fs,
    loader,
    topLayer: flags['top-layer'],
    deployment: {
      reference,
      name,
      writable,
      append,
      persist: flags.persist.flatMap((text) => text.split(',')),
      keep,
      kver,
      modules: parseModuleSelection(flags.modules, new Contents()),
    },
    luks: flags.luks
      ? { passphrase: await passphrase(flags['luks-passphrase-file']), iterMs: flags['luks-iter-time'] }
      : undefined,
  };
}

async function passphrase(file: string | undefined): Promise<string> {
  const text = file === undefined ? await askNew() : readFileSync(file, 'utf8').replace(/\n$/, '');
  if (text !== '') return text;
  throw new ImgbootError('IMGBOOT_USAGE', 'the passphrase is empty', {
    hint: 'give one that is not easily guessed',
  });
}

async function askNew(): Promise<string> {
  const first = await askSecret('Passphrase for the disk: ');
  if ((await askSecret('Once more: ')) === first) return first;
  throw new ImgbootError('IMGBOOT_DECLINED', 'the two passphrases are not the same; nothing was done');
}
