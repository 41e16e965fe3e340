import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FileLock } from '../system/lock.ts';
import { removeTree } from '../system/remove-tree.ts';
import type { LayerDriver } from './driver.ts';
import { NEW_PREFIX, type StorePaths } from './paths.ts';

/**
 * A directory in the store's `tmp` for one operation's work in progress. It is locked while its owner lives; what a
 * killed owner left, half-made layers too, the next {@link Workspace.create} sweeps.
 */
export class Workspace implements AsyncDisposable {
  readonly path: string;
  /** Whether an operation before this one was killed: what it had added to the store may be garbage. */
  readonly sweptAfterKill: boolean;
  readonly #id: string;
  readonly #paths: StorePaths;
  readonly #driver: LayerDriver;
  readonly #lock: FileLock;

  private constructor(
    id: string,
    place: { paths: StorePaths; driver: LayerDriver; lock: FileLock; sweptAfterKill: boolean },
  ) {
    const { paths, driver, lock } = place;
    this.#id = id;
    this.path = join(paths.tmp, id);
    this.sweptAfterKill = place.sweptAfterKill;
    this.#paths = paths;
    this.#driver = driver;
    this.#lock = lock;
  }

  static async create(paths: StorePaths, driver: LayerDriver): Promise<Workspace> {
    // Between a directory's making and its locking it looks as if its owner were dead: nobody may look meanwhile.
    using _sweeping = await FileLock.acquire(join(paths.locks, 'tmp'), 'exclusive');
    const sweptAfterKill = sweep(paths, driver);
    const id = randomBytes(6).toString('hex');
    mkdirSync(join(paths.tmp, id), { mode: 0o700 });
    const lock = FileLock.tryAcquire(lockPath(paths, id), 'exclusive');
    if (lock === undefined) throw new Error('a fresh lock file is locked');
    return new Workspace(id, { paths, driver, lock, sweptAfterKill });
  }

  /** A name in `layers` for the `index`th layer of this operation while it is being made. */
  newLayerName(index: number): string {
    return `${NEW_PREFIX}${this.#id}-${index}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _sweeping = await FileLock.acquire(join(this.#paths.locks, 'tmp'), 'exclusive');
    this.#lock[Symbol.dispose]();
    sweep(this.#paths, this.#driver);
  }
}

/**
 * Removes the workspaces and half-made layers whose owner is gone. The caller holds the `tmp` lock.
 * @returns whether there were any
 */
function sweep(paths: StorePaths, driver: LayerDriver): boolean {
  let swept = false;
  const alive = new Set<string>();
  for (const id of readdirSync(paths.tmp)) {
    if (id.endsWith('.lock')) continue;
    using lock = FileLock.tryAcquire(lockPath(paths, id), 'exclusive');
    if (lock === undefined) alive.add(id);
    else swept = true;
  }
  for (const name of readdirSync(paths.layers)) {
    if (name.startsWith(NEW_PREFIX) && !alive.has(name.split('-')[1] ?? ''))
      driver.remove(join(paths.layers, name));
  }
  for (const entry of readdirSync(paths.tmp)) {
    if (!alive.has(entry.replace(/\.lock$/, ''))) removeTree(join(paths.tmp, entry));
  }
  return swept;
}

function lockPath(paths: StorePaths, id: string): string {
  return join(paths.tmp, `${id}.lock`);
}
