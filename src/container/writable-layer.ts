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
import { ImgbootError, SyscallError } from '../errors.ts';
import { createDriver } from '../store/drivers.ts';
import { copyRootMetadata, mountOverlay } from '../store/overlay-mount.ts';
import type { Store } from '../store/store.ts';
import { isSubvolume, snapshotSubvolume, subvolumeUuid } from '../system/btrfs.ts';
import { modifiedAt, setTimes, unmount } from '../system/libc.ts';
import { replaceFile } from '../system/durable.ts';
import { HeldUserNamespace, asFileOwner, mountIdmapped, type IdRange } from '../system/idmapped-mount.ts';
import { removeTree } from '../system/remove-tree.ts';
import type { ContainerPaths } from './paths.ts';
import type { Container, ContainerRecord } from './record.ts';
import type { IdMapping } from './user-namespace.ts';

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
  for (const directory of [paths.rootfs, paths.layer, paths.upper, paths.work, paths.stubs])
    mkdirSync(directory);
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
  const writable = { layers, target: paths.rootfs };
  mountFresh(record, paths, writable);
  const missing = missingPlaces(paths.rootfs, places(paths.rootfs));
  if (missing.length === 0) return;
  unmount(paths.rootfs);
  rememberPlaces(paths, missing);
  for (const place of missing) make(paths.stubs, place);
  mountFresh(record, paths, writable);
}

/** Where a root file system is that is not for the host's own users to be seen: the store lets nobody through. */
export const MAPPED_ROOTFS = '/run/imgboot/rootfs';

/**
 * Shows a container's root file system once more, at {@link MAPPED_ROOTFS}, its owners as the container's user namespace
 * has them, and its volumes, too. What it writes is on the disk as without one. Mounts, like {@link openRootfs}, and
 * after it. @throws IMGBOOT_CANNOT_MAP
 */
export async function mapRootfs(
  { record, paths }: Container,
  { layers, volumes }: { layers: string; volumes: readonly string[] },
): Promise<void> {
  const { userNamespace } = record.security;
  if (userNamespace.kind !== 'mapped') return;
  const ranges = (mappings: readonly IdMapping[]): IdRange[] =>
    mappings.map(({ containerID, hostID, size }) => ({ inside: containerID, outside: hostID, size }));
  using namespace = await HeldUserNamespace.create({
    uids: ranges(userNamespace.uids),
    gids: ranges(userNamespace.gids),
  });
  mkdirSync(MAPPED_ROOTFS, { recursive: true });
  // Searched by the container's root, who is nobody here.
  for (const directory of [dirname(MAPPED_ROOTFS), MAPPED_ROOTFS]) chmodSync(directory, 0o711);
  try {
    for (const volume of volumes) mountIdmapped(volume, volume, namespace);
    if (record.driver === 'btrfs') {
      mountIdmapped(paths.rootfs, MAPPED_ROOTFS, namespace);
      return;
    }
    unmount(paths.rootfs);
    removeTree(paths.work);
    mkdirSync(paths.work);
    mountIdmapped(paths.layer, paths.layer, namespace);
    mountIdmapped(layers, layers, namespace);
    asFileOwner(mappedRoot(record)!, () => mountWritable(record, paths, { layers, target: MAPPED_ROOTFS }));
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new ImgbootError(
      'IMGBOOT_CANNOT_MAP',
      `the owners of the image's files cannot be mapped for --userns: ${cause.message}`,
      {
        cause,
        hint: 'that needs Linux 5.19 (5.15 with the btrfs driver), and a store on ext4, xfs or btrfs',
      },
    );
  }
}

/** Who the container's root is on the host; undefined where it is the host's root. */
export function mappedRoot({ security }: ContainerRecord): { uid: number; gid: number } | undefined {
  if (security.userNamespace.kind !== 'mapped') return undefined;
  const find = (mappings: readonly IdMapping[]): number => {
    const range = mappings.find(({ containerID }) => containerID === 0) ?? mappings[0]!;
    return range.hostID;
  };
  return { uid: find(security.userNamespace.uids), gid: find(security.userNamespace.gids) };
}

/** The places that were made in the root file system of a container for mounts. */
export function madePlaces(paths: ContainerPaths): MountPlace[] {
  return existsSync(paths.mountPoints)
    ? (JSON.parse(readFileSync(paths.mountPoints, 'utf8')) as MountPlace[])
    : [];
}

function mountFresh(
  record: ContainerRecord,
  paths: ContainerPaths,
  place: { layers: string; target: string },
): void {
  // Of an earlier mount: a volatile one's is of no use a second time.
  removeTree(paths.work);
  mkdirSync(paths.work);
  mountWritable(record, paths, place);
}

function mountWritable(
  record: ContainerRecord,
  paths: ContainerPaths,
  { layers, target }: { layers: string; target: string },
): void {
  const stubs = readdirSync(paths.stubs).length === 0 ? [] : [paths.stubs];
  mountOverlay(layers, {
    target,
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
