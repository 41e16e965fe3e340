import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { createDriver } from '../store/drivers.ts';
import { copyRootMetadata, mountOverlay } from '../store/overlay-mount.ts';
import type { Store } from '../store/store.ts';
import { isSubvolume, snapshotSubvolume, subvolumeUuid } from '../system/btrfs.ts';
import { modifiedAt, setTimes, unmount } from '../system/libc.ts';
import { replaceFile } from '../system/durable.ts';
import { removeTree } from '../system/remove-tree.ts';
import type { ContainerPaths } from './paths.ts';
import type { Container, ContainerRecord } from './record.ts';

/** A place that something is mounted on, in the root file system, symlinks resolved. */
export interface MountPlace {
  path: string;
  kind: 'directory' | 'file';
}

/**
 * Makes what a container writes to, at a cost that does not depend on the image: a snapshot of its topmost layer
 * (btrfs), or an empty upper directory (overlay).
 * @returns what proves later that it is the one we made: a subvolume's UUID, where it is one
 */
export function makeWritableLayer(
  store: Store,
  paths: ContainerPaths,
  layers: readonly string[],
): string | null {
  const top = join(store.paths.layers, layers[0]!);
  if (store.driver.name === 'btrfs') {
    snapshotSubvolume(top, paths.rootfs);
    return subvolumeUuid(paths.rootfs);
  }
  for (const directory of [paths.rootfs, paths.upper, paths.work, paths.stubs]) mkdirSync(directory);
  copyRootMetadata(top, paths.upper);
  for (const directory of [paths.work, paths.stubs]) chmodSync(directory, 0o755);
  return null;
}

/** Deletes it. @throws IMGBOOT_NOT_OURS for a subvolume that we did not make */
export function removeWritableLayer(record: ContainerRecord, paths: ContainerPaths): void {
  if (record.driver === 'btrfs' && isSubvolume(paths.rootfs)) {
    if (record.subvolume !== null && subvolumeUuid(paths.rootfs) !== record.subvolume)
      throw new ImgbootError(
        'IMGBOOT_NOT_OURS',
        `${paths.rootfs} is not the subvolume that was made for it`,
        {
          hint: 'look what it is, and delete it by hand',
        },
      );
    createDriver('btrfs').remove(paths.rootfs);
  }
}

/**
 * Shows a container's root file system at its `rootfs`, with a file or directory wherever something is to be mounted.
 * What is made for that is no part of what the container changes. Mounts, so it runs only in a mount namespace of its
 * own.
 * @param places says, of the root without them, which places there must be
 */
export function openRootfs(
  { record, paths }: Container,
  { layers, places }: { layers: string; places: (root: string) => readonly MountPlace[] },
): void {
  if (record.driver === 'btrfs') {
    const missing = missingPlaces(paths.rootfs, places(paths.rootfs));
    if (missing.length === 0) return;
    // First, so that none of them is ever taken for the container's own.
    rememberPlaces(paths, missing);
    for (const place of missing) makeQuietly(paths.rootfs, place);
    return;
  }
  mountWritable(record, paths, layers);
  const missing = missingPlaces(paths.rootfs, places(paths.rootfs));
  if (missing.length === 0) return;
  unmount(paths.rootfs);
  rememberPlaces(paths, missing);
  for (const place of missing) make(paths.stubs, place);
  mountWritable(record, paths, layers);
}

/** The places that were made in the root file system of a container for mounts. */
export function madePlaces(paths: ContainerPaths): MountPlace[] {
  return existsSync(paths.mountPoints)
    ? (JSON.parse(readFileSync(paths.mountPoints, 'utf8')) as MountPlace[])
    : [];
}

function mountWritable(record: ContainerRecord, paths: ContainerPaths, layers: string): void {
  // Of an earlier mount: a volatile one's is of no use a second time.
  removeTree(paths.work);
  mkdirSync(paths.work);
  const stubs = readdirSync(paths.stubs).length === 0 ? [] : [paths.stubs];
  mountOverlay(layers, {
    target: paths.rootfs,
    lower: [...record.layers, ...stubs],
    // Nothing of it is to outlive the container, so nothing needs to reach the disk.
    writable: { upper: paths.upper, work: paths.work, volatile: record.autoRemove },
  });
}

function missingPlaces(root: string, places: readonly MountPlace[]): MountPlace[] {
  return places.filter(({ path }) => lstatSync(join(root, path), { throwIfNoEntry: false }) === undefined);
}

function rememberPlaces(paths: ContainerPaths, places: readonly MountPlace[]): void {
  replaceFile(paths.mountPoints, JSON.stringify([...madePlaces(paths), ...places]));
}

function make(root: string, { path, kind }: MountPlace): void {
  const place = join(root, path);
  mkdirSync(kind === 'directory' ? place : dirname(place), { recursive: true, mode: 0o755 });
  if (kind === 'file') writeFileSync(place, '', { mode: 0o644 });
}

/** Without a trace in the time of the directory that it is made in. */
function makeQuietly(root: string, place: MountPlace): void {
  let parent = dirname(join(root, place.path));
  while (!existsSync(parent)) parent = dirname(parent);
  const before = modifiedAt(lstatSync(parent, { bigint: true }));
  make(root, place);
  setTimes(parent, before);
}
