import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FileLock } from '../system/lock.ts';
import { removeTree } from '../system/remove-tree.ts';
import type { LayerDriver } from './driver.ts';
import { DOOMED_PREFIX, NEW_PREFIX, type StorePaths } from './paths.ts';

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
  readonly #onEnd: () => void;

  private constructor(
    id: string,
    place: {
      paths: StorePaths;
      driver: LayerDriver;
      lock: FileLock;
      sweptAfterKill: boolean;
      onEnd: () => void;
    },
  ) {
    const { paths, driver, lock } = place;
    this.#id = id;
    this.path = join(paths.tmp, id);
    this.sweptAfterKill = place.sweptAfterKill;
    this.#paths = paths;
    this.#driver = driver;
    this.#lock = lock;
    this.#onEnd = place.onEnd;
  }

  /** @param onEnd called when it is disposed and gone */
  static async create(paths: StorePaths, driver: LayerDriver, onEnd: () => void): Promise<Workspace> {
    // Between a directory's making and its locking it looks as if its owner were dead: nobody may look meanwhile.
    using _sweeping = await FileLock.acquire(join(paths.locks, 'tmp'), 'exclusive');
    const sweptAfterKill = sweep(paths, driver);
    const id = randomBytes(6).toString('hex');
    mkdirSync(join(paths.tmp, id), { mode: 0o700 });
    const lock = FileLock.tryAcquire(lockPath(paths, id), 'exclusive');
    if (lock === undefined) throw new Error('a fresh lock file is locked');
    return new Workspace(id, { paths, driver, lock, sweptAfterKill, onEnd });
  }

  /** A name in `layers` for the `index`th layer of this operation while it is being made. */
  newLayerName(index: number): string {
    return `${NEW_PREFIX}${this.#id}-${index}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    {
      using _sweeping = await FileLock.acquire(join(this.#paths.locks, 'tmp'), 'exclusive');
      this.#lock[Symbol.dispose]();
      removeWorkspaces(this.#paths, this.#driver, (id) => id === this.#id);
    }
    this.#onEnd();
  }
}

/**
 * Removes the workspaces and half-made layers whose owner is gone. The caller holds the `tmp` lock.
 * @returns whether there were any
 */
function sweep(paths: StorePaths, driver: LayerDriver): boolean {
  const alive = new Set<string>();
  let swept = false;
  for (const id of readdirSync(paths.tmp)) {
    if (id.endsWith('.lock')) continue;
    using lock = FileLock.tryAcquire(lockPath(paths, id), 'exclusive');
    if (lock === undefined) alive.add(id);
    else swept = true;
  }
  removeWorkspaces(paths, driver, (id) => !alive.has(id));
  return swept;
}

function removeWorkspaces(paths: StorePaths, driver: LayerDriver, doomed: (id: string) => boolean): void {
  for (const name of readdirSync(paths.layers)) {
    const id = ownerOf(name);
    if (id !== undefined && doomed(id)) driver.remove(join(paths.layers, name));
  }
  for (const entry of readdirSync(paths.tmp)) {
    if (doomed(entry.replace(/\.lock$/, ''))) removeTree(join(paths.tmp, entry));
  }
}

/** The workspace that a half-made layer belongs to. One that is being deleted is everybody's. */
function ownerOf(name: string): string | undefined {
  if (name.startsWith(DOOMED_PREFIX)) return 'nobody';
  return name.startsWith(NEW_PREFIX)
    ? /^([0-9a-f]{12})-/.exec(name.slice(NEW_PREFIX.length))?.[1]
    : undefined;
}

function lockPath(paths: StorePaths, id: string): string {
  return join(paths.tmp, `${id}.lock`);
}
