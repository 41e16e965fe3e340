import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { UefiFirmware } from './machine.ts';

/** What starts a machine's boot loader. */
export const firmwareNames = ['uefi', 'bios'] as const;
export type FirmwareName = (typeof firmwareNames)[number];

/** Where distributions keep OVMF: the code, and the variables of a machine that has never been started. */
const places: readonly { code: string; variables: string }[] = [
  // Debian, Ubuntu
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  // Arch
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
  { code: '/usr/share/edk2-ovmf/x64/OVMF_CODE.fd', variables: '/usr/share/edk2-ovmf/x64/OVMF_VARS.fd' },
  // Fedora
  { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
];

/**
 * UEFI for one machine: the host's OVMF, with a copy of the variables in `directory`, because the machine writes them.
 * @throws IMGBOOT_NO_FIRMWARE
 */
export function uefiFirmware(directory: string): UefiFirmware {
  const found = places.find(({ code, variables }) => existsSync(code) && existsSync(variables));
  if (found === undefined) {
    throw new ImgbootError(
      'IMGBOOT_NO_FIRMWARE',
      'this host has no UEFI firmware for virtual machines (OVMF)',
      {
        hint: 'install it (ovmf on Debian, edk2-ovmf elsewhere), or boot by --firmware bios',
      },
    );
  }
  const variables = join(directory, 'uefi-variables.fd');
  copyFileSync(found.variables, variables);
  return { code: found.code, variables };
}
