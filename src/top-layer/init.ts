import { existsSync, globSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import { showTopLayerPlace, type TopLayerPlace } from './place.ts';

/** What makes a machine the one that it is, where it has it. */
const identity = [
  '/etc/hostname',
  '/etc/hosts',
  '/etc/machine-id',
  '/etc/fstab',
  '/etc/crypttab',
  '/etc/ssh/ssh_host_*_key*',
  '/etc/NetworkManager/system-connections/*',
  '/etc/systemd/network/*',
  '/etc/wireguard/*.conf',
] as const;

/**
 * Makes an empty top layer that only its owner can look into.
 * @returns what of the running system most likely belongs there
 * @throws IMGBOOT_EXISTS, IMGBOOT_USAGE
 */
export function initTopLayer(place: TopLayerPlace): { path: string; suggestions: string[] } {
  if (place.kind !== 'directory')
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      `${showTopLayerPlace(place)} is not a directory of this machine`,
      {
        hint: 'mount the device, and name the directory where the top layer is to be: --top-layer /mnt/top',
      },
    );
  const { path } = place;
  if (existsSync(path) && (!isDirectory(path) || readdirSync(path).length > 0))
    throw new ImgbootError('IMGBOOT_EXISTS', `${path} is there already`, {
      hint: 'imgboot toplayer ls lists it; imgboot toplayer add puts files into it',
    });
  try {
    mkdirSync(dirname(path), { recursive: true });
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_CANNOT_WRITE', `cannot make ${path}: ${errorMessage(cause)}`, {
      cause,
      hint:
        errnoOf(cause) === 'EACCES'
          ? 'run it as root, or name another directory with --top-layer'
          : undefined,
    });
  }
  return { path, suggestions: identity.flatMap((pattern) => globSync(pattern).toSorted()) };
}

function isDirectory(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}
