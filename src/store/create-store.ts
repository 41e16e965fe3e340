import { chmodSync, existsSync, mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { INDEX_TYPE } from '../image/manifest.ts';
import { createSubvolume } from '../system/btrfs.ts';
import { replaceFile } from '../system/durable.ts';
import { FileLock } from '../system/lock.ts';
import { BTRFS_SUPER_MAGIC } from './driver-btrfs.ts';
import type { DriverName } from './driver.ts';
import { PROBE_PREFIX } from './driver-overlay.ts';
import { createDriver } from './drivers.ts';
import { StorePaths } from './paths.ts';

export const STORE_VERSION = 1;
/** Old setuid programs and shadow files lie in a store. */
const STORE_MODE = 0o700;

/** What the making of a store that was killed may have left, and what a file system of its own may hold. */
const expected = new Set([
  'locks',
  'oci',
  'layers',
  'boot',
  'deployments',
  'tmp',
  '.new-store.json',
  'lost+found',
]);

/**
 * Makes a store at an absolute path: on btrfs, where nothing is there yet, as a subvolume of its own. Several at once
 * make one; killed in between, the next call goes on. Needs root.
 * @throws IMGBOOT_NOT_A_STORE for a directory with other things in it, IMGBOOT_UNSUPPORTED_FILESYSTEM
 */
export function createStore(path: string, wanted: DriverName | undefined): void {
  mkdirSync(dirname(path), { recursive: true });
  const nearest = existsSync(path) ? path : dirname(path);
  const driver = createDriver(wanted ?? (isOnBtrfs(nearest) ? 'btrfs' : 'overlay'));
  driver.probe(nearest);
  makeRoot(path);
  const names = readdirSync(path);
  if (names.includes(basename(new StorePaths(path).settings))) return;
  refuseForeign(path, names);
  chmodSync(path, STORE_MODE);
  fill(new StorePaths(path), driver.name);
}

function makeRoot(path: string): void {
  if (existsSync(path)) return;
  try {
    if (isOnBtrfs(dirname(path))) createSubvolume(path);
    else mkdirSync(path, STORE_MODE);
  } catch (error) {
    // Another was faster.
    if (!existsSync(path)) throw error;
  }
}

function refuseForeign(path: string, names: readonly string[]): void {
  // Another that makes it, too, may be probing.
  const foreign = names.find((name) => !expected.has(name) && !name.startsWith(PROBE_PREFIX));
  if (foreign === undefined) return;
  throw new ImgbootError('IMGBOOT_NOT_A_STORE', `${path} is no store, and not empty: it has ${foreign}`, {
    hint: 'choose an empty directory, or one that does not exist, with --store',
  });
}

function fill(paths: StorePaths, driver: DriverName): void {
  mkdirSync(paths.locks, { recursive: true, mode: STORE_MODE });
  using _creating = FileLock.acquireSync(join(paths.locks, 'create'), 'exclusive');
  if (existsSync(paths.settings)) return;
  for (const directory of [paths.blobs, paths.layers, paths.boot, paths.deployments, paths.tmp])
    mkdirSync(directory, { recursive: true, mode: STORE_MODE });
  replaceFile(join(paths.oci, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  replaceFile(paths.index, JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [] }));
  // Last: it is what makes the directory a store.
  replaceFile(paths.settings, `${JSON.stringify({ version: STORE_VERSION, driver })}\n`);
}

function isOnBtrfs(path: string): boolean {
  return statfsSync(path).type === BTRFS_SUPER_MAGIC;
}
