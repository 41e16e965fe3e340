import { readFileSync, realpathSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { readBootReport } from '../boot/boot-report.ts';
import { splitKernelWords, unquoteKernelWord } from '../loader/kernel-words.ts';
import type { Store } from '../store/store.ts';
import { findMount } from '../system/mountinfo.ts';
import { DEFAULT_TOP_LAYER, parseTopLayerPlace, type TopLayerPlace } from '../top-layer/place.ts';
import { filesystemUuid, requireBootable } from './detect.ts';

/**
 * Words for the kernel command line that find a top layer: a directory of this machine, `DEVICE[:PATH]`, or such words.
 * @throws IMGBOOT_USAGE, IMGBOOT_UNSUPPORTED_FILESYSTEM
 */
export async function topLayerWords(store: Store, text: string): Promise<string[]> {
  if (text.startsWith('toplayer')) return splitKernelWords(text);
  const place = parseTopLayerPlace(text);
  if (place.kind === 'device')
    return [`toplayer=${place.device}`, ...(place.path === undefined ? [] : [`toplayer_path=${place.path}`])];
  if (statSync(place.path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ImgbootError('IMGBOOT_USAGE', `there is no directory ${text} for a top layer`, {
      hint: 'give a directory, or a device with a path: UUID=..., LABEL=machine:/top, /dev/sda3',
    });
  }
  // As the boot finds it: no part of the path may be a symbolic link.
  const directory = realpathSync(place.path);
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

/** Where a version's words have its top layer; undefined where it has none. */
export function placeOfWords(words: readonly string[]): TopLayerPlace | undefined {
  const word = (key: string): string | undefined =>
    words
      .map(unquoteKernelWord)
      .findLast((one) => one.startsWith(`${key}=`))
      ?.slice(key.length + 1);
  const device = word('toplayer');
  if (device === undefined || device === '') return undefined;
  return {
    kind: 'device',
    device,
    path: word('toplayer_path'),
    fstype: word('toplayerfstype'),
    flags: word('toplayerflags'),
  };
}

/**
 * The top layer that is meant: the one that is named, as {@link topLayerWords} takes it; the one that the running system
 * was booted with; or {@link DEFAULT_TOP_LAYER}.
 * @throws IMGBOOT_USAGE
 */
export function findTopLayer(text: string | undefined): TopLayerPlace {
  if (text?.startsWith('toplayer') === true) {
    const place = placeOfWords(splitKernelWords(text));
    if (place !== undefined) return place;
    throw new ImgbootError('IMGBOOT_USAGE', `${text} names no device`, {
      hint: "give the boot entry's words: 'toplayer=UUID=... toplayer_path=/top'",
    });
  }
  if (text !== undefined) return parseTopLayerPlace(text);
  const booted = (readBootReport()?.topLayer ?? null) !== null;
  const place = booted ? placeOfWords(splitKernelWords(readFileSync('/proc/cmdline', 'utf8'))) : undefined;
  return place ?? parseTopLayerPlace(DEFAULT_TOP_LAYER);
}
