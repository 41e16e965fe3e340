import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { placeOfWords } from '../deploy/top-layer.ts';
import type { Candidate } from '../deploy/gate.ts';
import { persistedDirectory } from '../deploy/persist.ts';
import type { Store } from '../store/store.ts';
import { viewOf } from '../store/view.ts';
import type { Workspace } from '../store/workspace.ts';
import { deleteSubvolume, isSubvolume, snapshotSubvolume } from '../system/btrfs.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { Prepared, PrepareJob } from './prepare.job.ts';

export interface PrepareOptions extends OperationOptions {
  workspace: Workspace;
  /** A persistent directory that holds more is not copied. */
  copyBytes: number;
}

/** Makes the disks that a boot of a version finds, in a workspace of the store. Needs root. */
export async function prepareDisks(
  store: Store,
  { version, image, machine, bootFile }: Candidate,
  { workspace, copyBytes, ...options }: PrepareOptions,
): Promise<Prepared> {
  const view = viewOf(store, image, workspace);
  using persist = new PersistSources(store, version.name, { workspace, copyBytes });
  const sources = version.persist.map((path) => ({ path, source: persist.source(path) }));
  const job: PrepareJob = {
    machine,
    view,
    store: {
      path: machine.storePath,
      driver: store.driver.name,
      layers: store.paths.layers,
      chain: view.chain,
      name: version.name,
      number: version.number,
      bootFile,
    },
    persist: sources,
    topLayer: placeOfWords([...version.topLayer, ...version.append]),
    scratch: workspace.path,
  };
  const prepared = await runIsolated<PrepareJob, Prepared>(
    jobModule(import.meta.url, 'prepare.job'),
    job,
    options,
  );
  return { ...prepared, untested: [...prepared.untested, ...persist.untested] };
}

/** What persistent directories hold now: of a subvolume, at one moment. Dispose it. */
class PersistSources implements Disposable {
  readonly untested: string[] = [];
  readonly #store: Store;
  readonly #name: string;
  readonly #options: Pick<PrepareOptions, 'workspace' | 'copyBytes'>;
  readonly #snapshots: string[] = [];

  constructor(store: Store, name: string, options: Pick<PrepareOptions, 'workspace' | 'copyBytes'>) {
    this.#store = store;
    this.#name = name;
    this.#options = options;
  }

  /** Where to copy a directory from; undefined where the image's is to be taken. */
  source(path: string): string | undefined {
    const { workspace, copyBytes } = this.#options;
    const directory = persistedDirectory(this.#store, this.#name, path);
    if (!existsSync(directory)) return undefined;
    if (bytesUpTo(directory, copyBytes) > copyBytes) {
      const mb = Math.floor(copyBytes / 1e6);
      this.untested.push(`${path}: it holds more than ${mb} MB, so the gate has what the image has there`);
      return undefined;
    }
    if (!isSubvolume(directory)) return directory;
    const snapshot = join(workspace.path, `persist${this.#snapshots.length}`);
    snapshotSubvolume(directory, snapshot);
    this.#snapshots.push(snapshot);
    return snapshot;
  }

  [Symbol.dispose](): void {
    for (const snapshot of this.#snapshots.splice(0)) deleteSubvolume(snapshot);
  }
}

/** What files of a directory hold; no more is looked at than it takes to know that it is more than `most`. */
function bytesUpTo(directory: string, most: number): number {
  let bytes = 0;
  const pending = [Buffer.from(directory)];
  for (let at = pending.pop(); at !== undefined && bytes <= most; at = pending.pop()) {
    for (const entry of readdirSync(at, { withFileTypes: true, encoding: 'buffer' })) {
      const below = Buffer.concat([at, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) pending.push(below);
      else bytes += (lstatSync(below, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
    }
  }
  return bytes;
}
