import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../loader/machine.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import { writeBootFiles } from './boot-file.ts';
import { allVersions, readDeployments, writeDeployments, type Deployments } from './deployments.ts';
import { readFacts, type Facts } from './facts.ts';
import { loaderPlan } from './loader-plan.ts';
import { publishPlan } from './publish-plan.ts';
import { sweepVersions } from './remove-version.ts';

export interface ChangeOptions extends OperationOptions {
  /** A directory that stands for the loader's file system. */
  bootDirectory?: string | undefined;
}

/**
 * A change of what is deployed, by one process at a time. {@link stage} brings what is new to the loader while the
 * default stays; {@link commit} makes it so. What is neither committed nor undone, the next change sweeps.
 */
export class Change implements Disposable {
  /** As it is now. */
  deployments: Deployments;
  readonly #store: Store;
  readonly #options: ChangeOptions;
  readonly #lock: FileLock;

  private constructor(
    store: Store,
    place: { deployments: Deployments; options: ChangeOptions; lock: FileLock },
  ) {
    this.#store = store;
    this.deployments = place.deployments;
    this.#options = place.options;
    this.#lock = place.lock;
  }

  /** @param findMachine called for a store without deployments */
  static async begin(
    store: Store,
    { findMachine, ...options }: ChangeOptions & { findMachine: () => Promise<Machine> },
  ): Promise<Change> {
    const lock = await FileLock.acquire(join(store.paths.locks, 'deploy'), 'exclusive', {
      signal: options.signal,
      onWait: () => options.progress?.({ step: 'waiting for another imgboot that changes deployments' }),
    });
    try {
      const known = readDeployments(store.paths);
      const deployments: Deployments =
        known !== undefined && known.deployments.length > 0
          ? known
          : { version: 1, machine: await findMachine(), default: null, previous: null, deployments: [] };
      const change = new Change(store, { deployments, options, lock });
      await change.#sweep();
      return change;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  get facts(): Facts {
    return readFacts(this.#store.paths, this.deployments);
  }

  /**
   * Brings kernels and entries of versions to come to the loader. The default stays what it is. Where that fails, all
   * is as before.
   */
  async stage(next: Deployments): Promise<void> {
    // First that nothing but the default can become the default, and what a killed change left is gone.
    await this.#publish(this.deployments, { counting: 'no', signal: this.#options.signal });
    try {
      writeBootFiles(this.#store, next, readFacts(this.#store.paths, next));
      const staged = { ...next, default: this.deployments.default };
      // Where nothing is the default yet, no entry is needed until there is one.
      if (staged.default !== null || next.machine.boot !== null)
        await this.#publish(staged, { counting: 'no', signal: this.#options.signal });
    } catch (error) {
      await this.undo();
      throw error;
    }
  }

  /** Makes the loader's files and the version directories follow from what is the case. */
  async undo(): Promise<void> {
    await this.#publish(this.deployments, { counting: 'continue' });
    await this.#sweep();
  }

  /**
   * Makes it so: deployments.json, then the loader's default; then what is no longer named is deleted. From here on no
   * signal is heeded.
   */
  async commit(next: Deployments): Promise<void> {
    const before = this.deployments;
    const isNew = next.default !== before.default;
    writeBootFiles(this.#store, next, readFacts(this.#store.paths, next));
    writeDeployments(this.#store.paths, next);
    this.deployments = next;
    try {
      await this.#publish(next, { counting: isNew ? 'restart' : 'continue' });
    } catch (error) {
      this.deployments = before;
      writeDeployments(this.#store.paths, before);
      await this.undo().catch(() => {});
      throw error;
    }
    await this.#sweep();
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }

  async #publish(
    deployments: Deployments,
    { counting, signal }: { counting: 'no' | 'continue' | 'restart'; signal?: AbortSignal | undefined },
  ): Promise<void> {
    const facts = readFacts(this.#store.paths, deployments);
    const plan = loaderPlan(this.#store.paths, { deployments, facts, counting });
    const { bootDirectory } = this.#options;
    await publishPlan(this.#store, { plan, bootDirectory, progress: this.#options.progress, signal });
  }

  /** Deletes versions that nothing names; all of a name that is gone but its persistent directories. */
  async #sweep(): Promise<void> {
    const { paths } = this.#store;
    if (!existsSync(paths.deployments)) mkdirSync(paths.deployments, { mode: 0o700 });
    const versions = allVersions(this.deployments);
    const { booted } = this.facts;
    for (const name of readdirSync(paths.deployments)) {
      // The writable layers of images that are booted without a deployment.
      if (name.includes('%')) continue;
      const numbers = versions.filter((version) => version.name === name).map(({ number }) => number);
      const [bootedName, bootedNumber] = booted?.split('/') ?? [];
      if (bootedName === name) numbers.push(Number(bootedNumber));
      await sweepVersions(paths, { name, numbers: new Set(numbers) });
      const directory = join(paths.deployments, name);
      if (readdirSync(directory).length === 0) rmdirSync(directory);
    }
  }
}
