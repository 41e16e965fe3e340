import { readFileSync } from 'node:fs';
import { ImgbootError, errorMessage } from '../errors.ts';
import { byBytes } from '../system/rooted.ts';

/**
 * What an initramfs or an image has to know of a machine, and nothing by which the machine could be known: kinds of
 * devices, no serial numbers, addresses or UUIDs. Several machines join into one.
 */
export interface MachineProfile {
  version: 1;
  /** Each modalias of its hardware, and the kernel module that drove it there; null where none did. */
  modaliases: Record<string, string | null>;
  /** Files below /lib/firmware that these drivers ask for, and that were there. */
  firmware: string[];
  /** What its root lies on. */
  root: RootStack;
}

/** What a root lies on, by the kinds only. */
export interface RootStack {
  /** As mount names them: btrfs, ext4. */
  filesystems: readonly string[];
  /** What lies between file system and disk: dm-crypt, lvm, md-raid1; the words of hooks/contents/layers. */
  layers: readonly string[];
}

/** @throws IMGBOOT_CANNOT_READ, IMGBOOT_BAD_PROFILE */
export function readProfile(path: string): MachineProfile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_CANNOT_READ', `cannot read ${path}: ${errorMessage(cause)}`, {
      cause,
      hint: 'record one on the machine: imgboot profile record -o FILE',
    });
  }
  return parseProfile(text, path);
}

/** @throws IMGBOOT_BAD_PROFILE; `name` is what its messages call the file */
export function parseProfile(text: string, name: string): MachineProfile {
  const bad = (why: string): ImgbootError =>
    new ImgbootError('IMGBOOT_BAD_PROFILE', `${name} is no profile of a machine: ${why}`, {
      hint: 'record it again: imgboot profile record -o FILE',
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(errorMessage(cause));
  }
  const profile = value as Partial<MachineProfile> | null;
  if (typeof profile !== 'object' || profile === null) throw bad('it is no JSON object');
  if (profile.version !== 1) throw bad(`its version is ${JSON.stringify(profile.version)}, and not 1`);
  if (!isDriverMap(profile.modaliases)) throw bad('its modaliases are no names with drivers');
  const { root, firmware } = profile;
  if (!isNames(firmware)) throw bad('its firmware is no list of names');
  if (!isNames(root?.filesystems) || !isNames(root.layers))
    throw bad('its root has no filesystems and layers');
  const { filesystems, layers } = root;
  return { version: 1, modaliases: profile.modaliases, firmware, root: { filesystems, layers } };
}

/** As it is written to a file: sorted, so that the same machine gives the same bytes. */
export function profileText(profile: MachineProfile): string {
  return `${JSON.stringify(joinProfiles([profile]), undefined, 2)}\n`;
}

/** One that serves all of these machines. */
export function joinProfiles(profiles: readonly MachineProfile[]): MachineProfile {
  const drivers = new Map<string, string | null>();
  for (const { modaliases } of profiles) {
    for (const [alias, driver] of Object.entries(modaliases)) {
      drivers.set(alias, drivers.get(alias) ?? driver);
    }
  }
  return {
    version: 1,
    modaliases: Object.fromEntries([...drivers].sort(([a], [b]) => byBytes(a, b))),
    firmware: union(profiles.map(({ firmware }) => firmware)),
    root: {
      filesystems: union(profiles.map(({ root }) => root.filesystems)),
      layers: union(profiles.map(({ root }) => root.layers)),
    },
  };
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort(byBytes);
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function isDriverMap(value: unknown): value is Record<string, string | null> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((driver) => driver === null || typeof driver === 'string');
}
