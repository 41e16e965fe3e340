import { ImgbootError } from '../errors.ts';
import type { LoaderName } from '../loader/machine.ts';
import type { FirmwareName } from '../vm/firmware.ts';

/** Which firmware a disk can be started by. */
export const firmwareChoices = ['uefi', 'bios', 'both'] as const;
export type FirmwareChoice = (typeof firmwareChoices)[number];

/** The firmware that each loader works with, and where its configuration is on the disks that we make. */
const loaders: Record<LoaderName, { firmware: readonly FirmwareName[]; directory: string }> = {
  'systemd-boot': { firmware: ['uefi'], directory: '/loader' },
  grub: { firmware: ['uefi', 'bios'], directory: '/grub' },
  // It reads the configuration beside it.
  refind: { firmware: ['uefi'], directory: '/EFI/BOOT' },
  extlinux: { firmware: ['bios'], directory: '/extlinux' },
};

export interface BootLoader {
  name: LoaderName;
  firmware: ReadonlySet<FirmwareName>;
  directory: string;
}

/**
 * The loader for what was asked for: systemd-boot where nothing was, GRUB where that does not do; all that a loader can
 * where no firmware was named. Pure.
 * @throws IMGBOOT_USAGE
 */
export function chooseBootLoader(asked: {
  loader: LoaderName | undefined;
  firmware: FirmwareChoice | undefined;
}): BootLoader {
  const named = asked.firmware === 'both' ? (['uefi', 'bios'] as const) : asked.firmware && [asked.firmware];
  const name = asked.loader ?? (named?.some((one) => one === 'bios') === true ? 'grub' : 'systemd-boot');
  const { firmware, directory } = loaders[name];
  const unable = named?.find((one) => !firmware.includes(one));
  if (unable !== undefined) {
    throw new ImgbootError('IMGBOOT_USAGE', `${name} does not work with ${unable.toUpperCase()} firmware`, {
      hint: `choose --bootloader grub, or --firmware ${firmware[0]}`,
    });
  }
  return { name, firmware: new Set(named ?? firmware), directory };
}
