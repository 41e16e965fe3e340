import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../loader/machine.ts';
import type { StorePaths } from '../store/paths.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import { sweepBootFiles, writeBootFiles } from './boot-file.ts';
import {
  allVersions,
  forgetDeployments,
  readDeployments,
  writeDeployments,
  type Deployments,
} from './deployments.ts';
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
  /** Versions that are being made. */
  readonly #spared = new Set<string>();
  /** Something was written for the loader. */
  #isPublished = false;

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
      if (known !== undefined) {
        const change = new Change(store, { deployments: known, options, lock });
        await change.#makeGood();
        if (known.deployments.length > 0) return change;
      }
      const machine = await findMachine();
      const deployments: Deployments = {
        version: 1,
        machine,
        default: null,
        previous: null,
        deployments: [],
      };
      const change = new Change(store, { deployments, options, lock });
      await change.#sweep();
      return change;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** A directory that stands for the loader's file system. */
  get bootDirectory(): string | undefined {
    return this.#options.bootDirectory;
  }

  get facts(): Facts {
    return readFacts(this.#store.paths, this.deployments);
  }

  /** From now on a version that deployments.json does not name yet is left alone, until all is undone. */
  spare(id: string): void {
    this.#spared.add(id);
  }

  /** Brings kernels and entries of versions to come to the loader. The default stays what it is. */
  async stage(next: Deployments): Promise<void> {
    const { signal } = this.#options;
    // First that nothing but the default can become the default, and what a killed change left is gone.
    await this.#publish(this.deployments, { counting: 'no', signal });
    writeBootFiles(this.#store, next, readFacts(this.#store.paths, next));
    await this.#publish({ ...next, default: this.deployments.default }, { counting: 'no', signal });
  }

  /** Makes the loader's files, where they may be others, and the version directories follow from what is the case. */
  async undo(): Promise<void> {
    this.#spared.clear();
    if (this.#isPublished) await this.#publish(this.deployments, { counting: 'continue' });
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
    if (next.deployments.length === 0) forgetDeployments(this.#store.paths);
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }

  async #publish(
    deployments: Deployments,
    { counting, signal }: { counting: 'no' | 'continue' | 'restart'; signal?: AbortSignal | undefined },
  ): Promise<void> {
    this.#isPublished = true;
    const facts = readFacts(this.#store.paths, deployments);
    const plan = loaderPlan(this.#store.paths, { deployments, facts, counting });
    const { bootDirectory } = this.#options;
    await publishPlan(this.#store, { plan, bootDirectory, progress: this.#options.progress, signal });
  }

  /** Ends a change that was stopped after it had been committed. What the loader may still boot is there until then. */
  async #makeGood(): Promise<void> {
    sweepBootFiles(this.#store, this.deployments);
    const isEmpty = this.deployments.deployments.length === 0;
    if (!isEmpty && !this.#hasStrays()) return;
    await this.#publish(this.deployments, { counting: 'continue', signal: this.#options.signal });
    await this.#sweep();
    if (isEmpty) forgetDeployments(this.#store.paths);
  }

  #hasStrays(): boolean {
    const { paths } = this.#store;
    const known = new Set(allVersions(this.deployments).map(({ id }) => id));
    return deploymentNames(paths).some((name) =>
      readdirSync(join(paths.deployments, name)).some(
        (entry) => entry !== 'persist' && !known.has(`${name}/${entry}`),
      ),
    );
  }

  /** Deletes versions that nothing names; all of a name that is gone but its persistent directories. */
  async #sweep(): Promise<void> {
    const { paths } = this.#store;
    const kept = [...allVersions(this.deployments).map(({ id }) => id), ...this.#spared];
    const { booted } = this.facts;
    if (booted !== undefined) kept.push(booted);
    for (const name of deploymentNames(paths)) {
      const numbers = kept.filter((id) => id.startsWith(`${name}/`)).map((id) => Number(id.split('/')[1]));
      await sweepVersions(paths, { name, numbers: new Set(numbers) });
      const directory = join(paths.deployments, name);
      if (readdirSync(directory).length === 0) rmdirSync(directory);
    }
  }
}

/** Those that have a directory; others there are the writable layers of images that are booted without a deployment. */
function deploymentNames({ deployments }: StorePaths): string[] {
  return readdirSync(deployments).filter((name) => !name.includes('%'));
}
