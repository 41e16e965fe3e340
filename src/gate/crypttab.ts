import { parseDeviceSpec, type DeviceSpec } from './device-spec.ts';
import { unescapeOctal } from './unescape.ts';

/** A line of crypttab. @see crypttab(5) */
export interface CrypttabEntry {
  /** `/dev/mapper/NAME` */
  name: string;
  /** Undefined for a file, or what makes no sense. */
  device: DeviceSpec | undefined;
  source: string;
  /** Where its key is; undefined where it is asked for, or looked for at the usual places. */
  key: string | undefined;
  options: string[];
}

/** Pure. Lines that make no sense are left to the boot. */
export function parseCrypttab(text: string): CrypttabEntry[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => {
      const [name, source, key = 'none', options = ''] = line.split(/[ \t]+/).map(unescapeOctal);
      if (name === undefined || source === undefined) return [];
      return {
        name,
        source,
        device: parseDeviceSpec(source),
        key: key === 'none' || key === '-' ? undefined : key,
        options: options.split(',').filter(Boolean),
      };
    });
}

/** Whether it is set up anew by each boot, with nothing on it before: swap and /tmp with a key that nobody knows. */
export function isMadeByBoot({ key, options }: CrypttabEntry): boolean {
  const random = key === '/dev/urandom' || key === '/dev/random' || key === '/dev/hw_random';
  return random || options.some((one) => one === 'plain' || one === 'swap' || /^tmp(=|$)/.test(one));
}

/** What opens it is neither a key file nor a passphrase. */
export function needsToken({ key, options }: CrypttabEntry): boolean {
  return (
    options.some((one) => /^(tpm2-device|fido2-device|pkcs11-uri)=/.test(one)) ||
    // A file of another device.
    (key !== undefined && /^\/.+:.+=/.test(key))
  );
}
