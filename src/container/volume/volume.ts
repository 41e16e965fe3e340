import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf } from '../../errors.ts';
import type { StorePaths } from '../../store/paths.ts';
import type { Store } from '../../store/store.ts';
import { createSubvolume, deleteSubvolume, isSubvolume, subvolumeUuid } from '../../system/btrfs.ts';
import { replaceFile, syncDirectory } from '../../system/durable.ts';
import { FileLock } from '../../system/lock.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { removeTree } from '../../system/remove-tree.ts';
import { listContainers } from '../record.ts';

/** A named directory that outlives the containers that have it mounted. */
export interface Volume {
  version: 1;
  name: string;
  /** RFC 3339. */
  created: string;
  /** It was made for one container, which had no name for it. */
  anonymous: boolean;
  labels: Record<string, string>;
  /**
   * Whether it got what an image has at the place where it is mounted: a new one does, once. While that is under way it
   * holds a part of it and nothing else.
   */
  content: 'none yet' | 'being copied' | 'copied';
  /** Of its subvolume, where it is one: we delete no other. */
  uuid: string | null;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const NEW_PREFIX = '.new-';
const GONE_PREFIX = '.gone-';

/** Whoever makes, fills or removes volumes holds it. */
export async function lockVolumes(
  paths: Pick<StorePaths, 'locks'>,
  { progress, signal }: OperationOptions,
): Promise<FileLock> {
  return FileLock.acquire(join(paths.locks, 'volumes'), 'exclusive', {
    signal,
    onWait: () => progress?.({ step: 'waiting for another imgboot that changes volumes' }),
  });
}

/** Where a volume's files are. */
export function volumeData(paths: Pick<StorePaths, 'root'>, name: string): string {
  return join(volumeDirectory(paths, name), '_data');
}

/** By name. */
export function listVolumes(paths: Pick<StorePaths, 'root'>): Volume[] {
  const root = volumesRoot(paths);
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => NAME.test(name))
    .sort()
    .flatMap((name) => readVolume(paths, name) ?? []);
}

/** @throws IMGBOOT_NO_SUCH_VOLUME */
export function findVolume(paths: Pick<StorePaths, 'root'>, name: string): Volume {
  const volume = NAME.test(name) ? readVolume(paths, name) : undefined;
  if (volume !== undefined) return volume;
  throw new ImgbootError('IMGBOOT_NO_SUCH_VOLUME', `there is no volume ${JSON.stringify(name)}`, {
    hint: 'imgboot volume ls lists those there are',
  });
}

export function readVolume(paths: Pick<StorePaths, 'root'>, name: string): Volume | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(volumeDirectory(paths, name)), 'utf8')) as Volume;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function writeVolume(paths: Pick<StorePaths, 'root'>, volume: Volume): void {
  writeRecord(volumeDirectory(paths, volume.name), volume);
}

/** A name for a volume that nobody has named. */
export function anonymousVolumeName(): string {
  return randomBytes(32).toString('hex');
}

/** Makes an empty volume: whole or not at all. @throws IMGBOOT_USAGE, IMGBOOT_VOLUME_EXISTS */
export async function createVolume(
  store: Store,
  request: OperationOptions & { name: string; labels: Record<string, string> },
): Promise<Volume> {
  using _lock = await lockVolumes(store.paths, request);
  if (readVolume(store.paths, checkVolumeName(request.name)) !== undefined)
    throw new ImgbootError('IMGBOOT_VOLUME_EXISTS', `there is a volume ${request.name} already`, {
      hint: `imgboot volume inspect ${request.name} shows it`,
    });
  return makeVolume(store, { ...request, anonymous: false });
}

/** The same. The caller holds the lock, and knows that there is none of that name. */
export function makeVolume(
  store: Store,
  { name, labels, anonymous }: { name: string; labels: Record<string, string>; anonymous: boolean },
): Volume {
  const root = volumesRoot(store.paths);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  sweepVolumes(store.paths);
  const fresh = join(root, `${NEW_PREFIX}${name}`);
  const data = join(fresh, '_data');
  mkdirSync(fresh, { mode: 0o700 });
  if (store.driver.name === 'btrfs') createSubvolume(data);
  else mkdirSync(data, { mode: 0o755 });
  const uuid = isSubvolume(data) ? subvolumeUuid(data) : null;
  const created = new Date().toISOString();
  const volume: Volume = { version: 1, name, created, anonymous, labels, content: 'none yet', uuid };
  writeRecord(fresh, volume);
  renameSync(fresh, volumeDirectory(store.paths, name));
  syncDirectory(root);
  return volume;
}

/** @throws IMGBOOT_USAGE */
export function checkVolumeName(name: string): string {
  if (NAME.test(name)) return name;
  throw new ImgbootError('IMGBOOT_USAGE', `not a name for a volume: ${JSON.stringify(name)}`, {
    hint: 'a name has letters, digits, _, . and -, and begins with a letter or digit',
  });
}

/** The names of the containers that have a volume mounted when they run, by the volume's name. */
export function volumeUsers(store: Store): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { record } of listContainers(store)) {
    for (const mount of record.mounts) {
      if (mount.kind === 'volume') users.set(mount.name, [...(users.get(mount.name) ?? []), record.name]);
    }
  }
  return users;
}

/** @throws IMGBOOT_NO_SUCH_VOLUME, IMGBOOT_VOLUME_IN_USE, IMGBOOT_NOT_OURS */
export async function removeVolume(
  store: Store,
  { name, ...options }: OperationOptions & { name: string },
): Promise<void> {
  using _lock = await lockVolumes(store.paths, options);
  const volume = findVolume(store.paths, name);
  const users = volumeUsers(store).get(name);
  if (users !== undefined)
    throw new ImgbootError('IMGBOOT_VOLUME_IN_USE', `the volume ${name} is in use by ${users.join(', ')}`, {
      hint: `remove the container first: imgboot rm ${users.join(' ')}`,
    });
  deleteVolume(store.paths, volume);
}

/** Removes every volume that no container has. @returns those that it removed, or would */
export async function pruneVolumes(
  store: Store,
  { dryRun, ...options }: OperationOptions & { dryRun: boolean },
): Promise<Volume[]> {
  using _lock = await lockVolumes(store.paths, options);
  const users = volumeUsers(store);
  const unused = listVolumes(store.paths).filter(({ name }) => !users.has(name));
  if (!dryRun) for (const volume of unused) deleteVolume(store.paths, volume);
  return unused;
}

/** Removes the volumes that were made for a container that is gone. Idempotent. */
export async function removeAnonymousVolumes(
  store: Store,
  { names, ...options }: OperationOptions & { names: readonly string[] },
): Promise<void> {
  if (names.length === 0) return;
  using _lock = await lockVolumes(store.paths, options);
  const users = volumeUsers(store);
  for (const name of names) {
    const volume = readVolume(store.paths, name);
    if (volume?.anonymous === true && !users.has(name)) deleteVolume(store.paths, volume);
  }
}

function deleteVolume(paths: StorePaths, volume: Volume): void {
  const directory = volumeDirectory(paths, volume.name);
  refuseForeign(directory, volume);
  // A name of its own first: what is half deleted must not be taken for a volume.
  renameSync(directory, join(volumesRoot(paths), `${GONE_PREFIX}${volume.name}`));
  sweepVolumes(paths);
}

/** Removes what is half made or half deleted. The caller holds the lock. */
function sweepVolumes(paths: StorePaths): void {
  const root = volumesRoot(paths);
  for (const name of readdirSync(root)) {
    if (!name.startsWith(NEW_PREFIX) && !name.startsWith(GONE_PREFIX)) continue;
    const directory = join(root, name);
    const data = join(directory, '_data');
    if (isSubvolume(data)) deleteSubvolume(data);
    removeTree(directory);
  }
}

/** @throws IMGBOOT_NOT_OURS */
function refuseForeign(directory: string, { name, uuid }: Volume): void {
  const data = join(directory, '_data');
  if (uuid === null ? !isSubvolume(data) : isSubvolume(data) && subvolumeUuid(data) === uuid) return;
  throw new ImgbootError('IMGBOOT_NOT_OURS', `${data} is not what was made for the volume ${name}`, {
    hint: 'look what it is, and delete it by hand',
  });
}

function writeRecord(directory: string, volume: Volume): void {
  replaceFile(recordPath(directory), `${JSON.stringify(volume, null, 1)}\n`);
}

function recordPath(directory: string): string {
  return join(directory, 'volume.json');
}

function volumeDirectory(paths: Pick<StorePaths, 'root'>, name: string): string {
  return join(volumesRoot(paths), name);
}

function volumesRoot(paths: Pick<StorePaths, 'root'>): string {
  return join(paths.root, 'volumes');
}
