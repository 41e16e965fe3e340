import { existsSync, readFileSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { INDEX_TYPE, REF_NAME, parseIndex, type Index } from '../image/manifest.ts';
import { replaceFile } from '../system/durable.ts';
import { FileLock } from '../system/lock.ts';
import { bootFiles } from './boot-files.ts';
import type { DriverName } from './driver.ts';
import type { StorePaths } from './paths.ts';

/** The store's index as it is now. Readers need no lock: it is replaced whole. */
export function readIndex(paths: StorePaths): Index {
  return parseIndex(readFileSync(paths.index), paths.index);
}

/**
 * Changes the index, the one authority on what exists, and the boot files that follow from it, under one lock.
 * `change` edits the index in place.
 */
export async function updateIndex(
  store: { paths: StorePaths; driver: DriverName },
  change: (index: Index) => void,
): Promise<void> {
  using _lock = await FileLock.acquire(join(store.paths.locks, 'index'), 'exclusive');
  const index = readIndex(store.paths);
  change(index);
  index.manifests.sort(
    (a, b) =>
      compare(a.annotations?.[REF_NAME] ?? '', b.annotations?.[REF_NAME] ?? '') ||
      compare(a.digest, b.digest),
  );
  replaceFile(
    store.paths.index,
    JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: index.manifests }),
  );
  writeBootFiles(store, index);
}

/** Brings boot/ in line with the index. The caller holds the index lock. */
export function writeBootFiles(store: { paths: StorePaths; driver: DriverName }, index: Index): void {
  const wanted = bootFiles(store, index);
  for (const [name, content] of wanted) {
    const path = join(store.paths.boot, name);
    if (!existsSync(path) || readFileSync(path, 'utf8') !== content) replaceFile(path, content);
  }
  for (const name of readdirSync(store.paths.boot)) {
    if (!wanted.has(name)) unlinkSync(join(store.paths.boot, name));
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
