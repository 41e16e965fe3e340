import { readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf, errorMessage } from '../../errors.ts';
import { deviceNumbers } from './limits.ts';
import type { ContainerRecord } from '../record.ts';
import { defaultDeviceRules, type DeviceRule, type SpecDevice } from '../spec.ts';

/** `--device SOURCE[:TARGET][:ACCESS]`; a directory stands for the devices in it. @throws IMGBOOT_USAGE, IMGBOOT_NO_SUCH_DEVICE */
export function parseDevice(text: string): { source: string; target: string; access: string }[] {
  const parts = text.split(':');
  const [source = '', second, third] = parts;
  const access = third ?? (second !== undefined && !second.startsWith('/') ? second : 'rwm');
  const target = second?.startsWith('/') ? second : source;
  if (parts.length > 3 || !source.startsWith('/') || !/^[rwm]{1,3}$/.test(access))
    throw new ImgbootError('IMGBOOT_USAGE', `not a device: ${JSON.stringify(text)}`, {
      hint: 'a device is SOURCE[:TARGET][:rwm], such as /dev/fuse or /dev/sda:/dev/xvda:r',
    });
  const stats = statOf(source);
  if (!stats.isDirectory()) {
    if (kindOf(stats) === undefined) throw noDevice(source, 'it is no device');
    return [{ source, target, access }];
  }
  return readdirSync(source).flatMap((name) =>
    kindOf(statOf(join(source, name))) === undefined
      ? []
      : [{ source: join(source, name), target: join(target, name), access }],
  );
}

/** The nodes that a container's /dev has beside the usual ones. */
export function deviceNodes({ devices, security }: ContainerRecord): SpecDevice[] {
  const asked = devices.map(({ source, target }) => nodeOf(source, target) ?? missing(source));
  if (!security.privileged) return asked;
  const all = readdirSync('/dev').flatMap((name) => {
    // The container's own; and what its own terminal will be.
    if (['console', 'ptmx', 'tty'].includes(name)) return [];
    const path = join('/dev', name);
    return nodeOf(path, path) ?? [];
  });
  return [...all.filter(({ path }) => !asked.some((node) => node.path === path)), ...asked];
}

export function deviceRules(
  { devices, security }: ContainerRecord,
  nodes: readonly SpecDevice[],
): DeviceRule[] {
  if (security.privileged) return [{ allow: true, access: 'rwm' }];
  return [
    ...defaultDeviceRules(),
    ...nodes.map(({ path, type, major, minor }) => ({
      allow: true,
      type,
      major,
      minor,
      access: devices.find(({ target }) => target === path)?.access ?? 'rwm',
    })),
  ];
}

function nodeOf(source: string, path: string): SpecDevice | undefined {
  let stats: Stats;
  try {
    stats = statSync(source);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const type = kindOf(stats);
  if (type === undefined) return undefined;
  return {
    path,
    type,
    ...deviceNumbers(stats.rdev),
    fileMode: stats.mode & 0o777,
    uid: stats.uid,
    gid: stats.gid,
  };
}

function kindOf(stats: Stats): 'b' | 'c' | undefined {
  if (stats.isBlockDevice()) return 'b';
  return stats.isCharacterDevice() ? 'c' : undefined;
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (cause) {
    throw noDevice(path, errorMessage(cause), cause);
  }
}

function missing(path: string): never {
  throw noDevice(path, 'it is gone');
}

function noDevice(path: string, why: string, cause?: unknown): ImgbootError {
  return new ImgbootError('IMGBOOT_NO_SUCH_DEVICE', `${path} cannot be given to the container: ${why}`, {
    cause,
  });
}
