import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { encodeReference } from '../image/reference.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { viewOf } from '../store/view.ts';
import { createSubvolume, deleteSubvolume, isSubvolume, subvolumeUuid } from '../system/btrfs.ts';
import { replaceFile, syncDirectory } from '../system/durable.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { removeTree } from '../system/remove-tree.ts';
import type { SeedJob } from './seed.job.ts';

/** What is kept beside a persistent directory, to know it again. */
interface PersistRecord {
  path: string;
  /** Of its subvolume, where it is one: we delete no other. */
  uuid: string | null;
}

const NEW_PREFIX = '.new-';

/** @throws IMGBOOT_USAGE */
export function checkPersistPath(text: string): string {
  const path = text.replace(/\/+$/, '');
  const parts = path.split('/').slice(1);
  const isPlain = path.startsWith('/') && parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (isPlain && !/\p{Cc}/u.test(path)) return path;
  throw new ImgbootError('IMGBOOT_USAGE', `cannot keep ${JSON.stringify(text)} over upgrades`, {
    hint: 'name a directory below the root by its absolute path, such as /home or /var/lib/postgresql',
  });
}

/**
 * Makes the persistent directories of a deployment that are not there yet, each seeded from the image: a subvolume of
 * its own, or a directory. One that is there is left as it is. Each is whole or absent.
 * @throws IMGBOOT_USAGE for what the image has and is no directory
 */
export async function seedPersistent(
  store: Store,
  request: OperationOptions & { name: string; image: Image; persist: readonly string[] },
): Promise<void> {
  const { name, persist, ...options } = request;
  const parent = persistRoot(store, name);
  const missing = persist.filter((path) => !existsSync(join(parent, encodeReference(path))));
  if (missing.length === 0) return;
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  using _content = await store.lockContent('shared', options);
  await using workspace = await store.workspace();
  const view = viewOf(store, request.image, workspace);
  sweepHalfMade(parent);
  for (const path of missing) {
    options.progress?.({ step: `copying ${path} of the image` });
    const aside = join(parent, `${NEW_PREFIX}${encodeReference(path)}`);
    if (store.driver.name === 'btrfs') createSubvolume(aside);
    else mkdirSync(aside, { mode: 0o755 });
    const job: SeedJob = { view, path, data: aside };
    await runIsolated<SeedJob, void>(jobModule(import.meta.url, 'seed.job'), job, options);
    const record: PersistRecord = { path, uuid: isSubvolume(aside) ? subvolumeUuid(aside) : null };
    replaceFile(recordPath(parent, path), `${JSON.stringify(record)}\n`);
    renameSync(aside, join(parent, encodeReference(path)));
    syncDirectory(parent);
  }
}

/** Deletes what a deployment kept over upgrades. @returns the paths; those that are not ours stay */
export function purgePersistent(store: Store, name: string): string[] {
  const parent = persistRoot(store, name);
  if (!existsSync(parent)) return [];
  sweepHalfMade(parent);
  const purged = persistedDirectories(store, name).filter(({ path, uuid }) => {
    const directory = join(parent, encodeReference(path));
    const isOurs =
      uuid === null ? !isSubvolume(directory) : isSubvolume(directory) && subvolumeUuid(directory) === uuid;
    if (!isOurs) return false;
    // A name of its own first: what is half deleted must not be taken for a persistent directory.
    renameSync(directory, join(parent, `${NEW_PREFIX}${encodeReference(path)}`));
    unlinkSync(recordPath(parent, path));
    return true;
  });
  sweepHalfMade(parent);
  for (const directory of [parent, join(parent, '..')]) {
    if (readdirSync(directory).length === 0) rmdirSync(directory);
  }
  return purged.map(({ path }) => path);
}

/** The persistent directories that a name has, also without any version. */
export function persistedDirectories(store: Store, name: string): PersistRecord[] {
  const parent = persistRoot(store, name);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((entry) => entry.startsWith('.') && entry.endsWith('.json'))
    .map((entry) => JSON.parse(readFileSync(join(parent, entry), 'utf8')) as PersistRecord)
    .filter(({ path }) => existsSync(join(parent, encodeReference(path))));
}

/** Where a persistent directory of a deployment lies. */
export function persistedDirectory(store: Store, name: string, path: string): string {
  return join(persistRoot(store, name), encodeReference(path));
}

function sweepHalfMade(parent: string): void {
  for (const entry of readdirSync(parent)) {
    if (!entry.startsWith(NEW_PREFIX)) continue;
    const path = join(parent, entry);
    if (isSubvolume(path)) deleteSubvolume(path);
    else removeTree(path);
  }
}

function persistRoot(store: Store, name: string): string {
  return join(store.paths.deployments, name, 'persist');
}

function recordPath(parent: string, path: string): string {
  return join(parent, `.${encodeReference(path)}.json`);
}
