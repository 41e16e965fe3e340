import { statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { splitKernelWords } from '../loader/kernel-words.ts';
import type { Store } from '../store/store.ts';
import { findMount } from '../system/mountinfo.ts';
import { filesystemUuid, requireBootable } from './detect.ts';

const DEVICE = /^(?:(?:UUID|LABEL|PARTUUID|PARTLABEL)=[^:]+|\/dev\/[^:]+)(?::(\/.*))?$/;

/**
 * Words for the kernel command line that find a top layer: a directory of this machine, `DEVICE[:PATH]`, or such words.
 * @throws IMGBOOT_USAGE, IMGBOOT_UNSUPPORTED_FILESYSTEM
 */
export async function topLayerWords(store: Store, text: string): Promise<string[]> {
  if (text.startsWith('toplayer')) return splitKernelWords(text);
  const path = DEVICE.exec(text);
  if (path !== null) {
    const device = path[1] === undefined ? text : text.slice(0, -path[1].length - 1);
    return [`toplayer=${device}`, ...(path[1] === undefined ? [] : [`toplayer_path=${path[1]}`])];
  }
  const directory = resolve(text);
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ImgbootError('IMGBOOT_USAGE', `there is no directory ${text} for a top layer`, {
      hint: 'give a directory, or a device with a path: UUID=..., LABEL=machine:/top, /dev/sda3',
    });
  }
  if (!relative(store.paths.root, directory).startsWith('..')) {
    throw new ImgbootError('IMGBOOT_USAGE', `${text} is in the store, which may delete it`, {
      hint: 'put the top layer beside the store',
    });
  }
  const mount = findMount(directory);
  requireBootable(mount, directory);
  return [
    `toplayer=UUID=${await filesystemUuid(mount.source)}`,
    `toplayerfstype=${mount.fstype}`,
    ...(mount.fstype === 'btrfs' ? ['toplayerflags=subvolid=5'] : []),
    `toplayer_path=${join(mount.root, relative(mount.target, directory))}`,
  ];
}
