import { unescapeHex } from './unescape.ts';

export const deviceTags = ['UUID', 'LABEL', 'PARTUUID', 'PARTLABEL'] as const;
export type DeviceTag = (typeof deviceTags)[number];

/** How a device is named: by something that it has, or by a path in /dev. */
export type DeviceSpec = { tag: DeviceTag; value: string } | { path: string };

const links: Readonly<Record<string, DeviceTag>> = {
  'by-uuid': 'UUID',
  'by-label': 'LABEL',
  'by-partuuid': 'PARTUUID',
  'by-partlabel': 'PARTLABEL',
};

/** The device that a text of fstab, crypttab or a kernel command line names; undefined where it names none. Pure. */
export function parseDeviceSpec(text: string): DeviceSpec | undefined {
  const named = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/s.exec(text);
  if (named !== null) return { tag: named[1] as DeviceTag, value: named[2]!.replace(/^"(.*)"$/s, '$1') };
  const [, directory, name] = /^\/dev\/disk\/(by-[a-z]+)\/([^/]+)$/s.exec(text) ?? [];
  const tag = directory === undefined ? undefined : links[directory];
  if (tag !== undefined) return { tag, value: unescapeHex(name!) };
  return /^\/dev\/(?!shm(?:\/|$)|fd(?:\/|$)).+/s.test(text) ? { path: text } : undefined;
}
