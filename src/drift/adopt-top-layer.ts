import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { isPackageDatabase } from '../packages/database-paths.ts';
import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { TopLayerPlace } from '../top-layer/place.ts';
import type { AdoptTopLayerJob, AdoptedIntoTopLayer } from './adopt-top-layer.job.ts';
import type { Chosen } from './choose.ts';
import { viewOfRoot } from './diff-root.ts';

/**
 * Puts chosen changes into a top layer: files with all that they have, of accounts only the lines that were changed,
 * and what deletes the files that the image has and this root has not. Each file of the top layer is the old or the new
 * whenever it is stopped.
 * @returns what has to be known of it
 * @throws IMGBOOT_NO_TOP_LAYER, IMGBOOT_TOP_LAYER, IMGBOOT_BUSY
 */
export async function adoptIntoTopLayer(
  store: Store,
  { drift, changes }: Chosen,
  { place, ...options }: OperationOptions & { place: TopLayerPlace },
): Promise<string[]> {
  await using scratch = await TemporaryDirectory.create();
  const [mountPoint, topMountPoint] = [join(scratch.path, 'root'), join(scratch.path, 'top')];
  for (const directory of [mountPoint, topMountPoint]) await mkdir(directory);
  const job: AdoptTopLayerJob = {
    view: viewOfRoot(store, drift.root, mountPoint),
    wanted: new Set(changes.map(({ path }) => path)),
    place,
    topMountPoint,
    onlyTidy: false,
  };
  const module = jobModule(import.meta.url, 'adopt-top-layer.job');
  try {
    const { unsaid } = await runIsolated<AdoptTopLayerJob, AdoptedIntoTopLayer>(module, job, options);
    return unsaid.map((account) => `a top layer cannot take an account away: ${account} stays`);
  } catch (error) {
    // A job that was killed has left its work aside.
    if (options.signal?.aborted === true)
      await runIsolated<AdoptTopLayerJob, AdoptedIntoTopLayer>(module, { ...job, onlyTidy: true });
    throw error;
  }
}

/**
 * Leaves what package managers note out of a choice, unless it was named: it is of one image, and the next one's would be
 * hidden by it.
 */
export function withoutDatabases(
  { drift, changes }: Chosen,
  named: readonly string[],
): Chosen & { notes: string[] } {
  const isNamed = (path: string): boolean =>
    named.some((one) => isPackageDatabase(one) && `${path}/`.startsWith(`${one}/`));
  const kept = changes.filter((change) => change.package !== 'database' || isNamed(change.path));
  const names = [
    ...new Set(
      kept.flatMap((change) =>
        typeof change.package === 'number' ? drift.packages[change.package]!.name : [],
      ),
    ),
  ];
  const note = `no package manager will know of ${names.join(', ')}: a Dockerfile or a layer brings packages whole`;
  return { drift, changes: kept, notes: names.length === 0 ? [] : [note] };
}
