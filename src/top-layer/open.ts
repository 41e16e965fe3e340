import { lstatSync, statSync } from 'node:fs';
import { CommandFailed, ImgbootError } from '../errors.ts';
import { deviceTag, findBlockDevices, mountOf } from '../system/block-device.ts';
import { runCommand } from '../system/exec.ts';
import { showTopLayerPlace, type TopLayerPlace } from './place.ts';

/** What a boot mounts a top layer's device with. */
const READ_ONLY = ['nodev', 'nosuid', 'noexec'] as const;

/**
 * The directory of a top layer. A device is mounted, read-only unless it is to be written to, so that runs only in a
 * mount namespace of its own, which also undoes it. Needs root for a device.
 * @param mountPoint an empty directory, for a device
 * @throws IMGBOOT_NO_TOP_LAYER
 */
export async function openTopLayer(
  place: TopLayerPlace,
  { mountPoint, writable }: { mountPoint: string | undefined; writable: boolean },
): Promise<string> {
  if (place.kind === 'directory') return requireDirectory(place.path);
  const device = await findDevice(place);
  await mountDevice(place, { device, mountPoint: mountPoint!, writable });
  return directoryBelow(place, mountPoint!);
}

/** @throws IMGBOOT_NO_TOP_LAYER */
export function requireDirectory(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return path;
  throw new ImgbootError('IMGBOOT_NO_TOP_LAYER', `there is no directory ${path} with a top layer`, {
    hint: 'imgboot toplayer init makes one; --top-layer names a directory, or a device with a path: UUID=..., LABEL=machine:/top',
  });
}

async function findDevice({ device }: TopLayerPlace & { kind: 'device' }): Promise<string> {
  const found = await findBlockDevices(device);
  if (found.length === 1 || (await isOneBtrfs(found))) return found[0]!;
  const why = found.length === 0 ? 'no device answers to it' : `${found.join(' and ')} answer to it`;
  throw new ImgbootError('IMGBOOT_NO_TOP_LAYER', `cannot open the top layer on ${device}: ${why}`, {
    hint: 'blkid lists the file systems that there are',
  });
}

/** Several members of one btrfs are one file system. */
async function isOneBtrfs(devices: readonly string[]): Promise<boolean> {
  const types = await Promise.all(devices.map((device) => deviceTag(device, 'TYPE')));
  const ids = new Set(await Promise.all(devices.map((device) => deviceTag(device, 'UUID'))));
  return ids.size === 1 && types.every((type) => type === 'btrfs');
}

async function mountDevice(
  place: TopLayerPlace & { kind: 'device' },
  { device, mountPoint, writable }: { device: string; mountPoint: string; writable: boolean },
): Promise<void> {
  const flags = place.flags?.split(',') ?? [];
  // The kernel has a file system writable everywhere or nowhere; a mount of it can be read-only all the same.
  const isWritten = mountOf(device)?.superOptions.includes('rw') === true;
  const how = writable || isWritten ? 'rw' : 'ro';
  const options = [...flags, how, ...READ_ONLY].join(',');
  const type = place.fstype === undefined ? [] : ['-t', place.fstype];
  try {
    await runCommand('mount', [...type, '-o', options, '--', device, mountPoint]);
    if (!writable) await runCommand('mount', ['-o', 'remount,bind,ro,nodev,nosuid,noexec', mountPoint]);
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    throw new ImgbootError(
      'IMGBOOT_NO_TOP_LAYER',
      `cannot open the top layer ${showTopLayerPlace(place)}: ${cause.message}`,
      { cause, hint: 'mount it by hand to see what is wrong; dmesg may say more' },
    );
  }
}

/** As the boot takes it: no part of the path may be a symbolic link. @throws IMGBOOT_NO_TOP_LAYER */
function directoryBelow(place: TopLayerPlace & { kind: 'device' }, mountPoint: string): string {
  const parts = (place.path ?? '').split('/').filter((part) => part !== '' && part !== '.');
  let at = mountPoint;
  for (const part of parts) {
    at = `${at}/${part}`;
    if (part !== '..' && lstatSync(at, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    throw new ImgbootError(
      'IMGBOOT_NO_TOP_LAYER',
      `${showTopLayerPlace(place)} is no top layer: ${at.slice(mountPoint.length)} is no directory there`,
      {
        hint: 'name the directory itself, from the top of the file system; no part of it may be a symbolic link',
      },
    );
  }
  return at;
}
