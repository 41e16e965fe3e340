import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import { markIgnored, type DriftChange } from './drift.ts';
import { findRoot, type KeptRoot, type RootChoice } from './kept-root.ts';
import type { DriftPackage } from './package-changes.ts';
import type { ReadRootJob, ReadRootResult } from './read-root.job.ts';
import type { RootView } from './root-view.ts';

/** What somebody changed of a root. */
export interface Drift {
  root: KeptRoot;
  packages: DriftPackage[];
  /** Also what is not told. */
  changes: DriftChange[];
  /** What has to be known to read it rightly. */
  notes: string[];
}

/**
 * What a root has that image and top layer have not. Reads only, and needs root.
 * @param options `everywhere`: looks into directories that the list of ignored paths has, too
 * @throws IMGBOOT_NO_SUCH_ROOT, IMGBOOT_UNKNOWN_ORIGIN, IMGBOOT_NO_SUCH_DEPLOYMENT, IMGBOOT_NO_DEPLOYMENTS
 */
export async function diffRoot(
  store: Store,
  choice: RootChoice,
  { everywhere, ...options }: OperationOptions & { everywhere: boolean },
): Promise<Drift> {
  const root = await findRoot(store, choice);
  await using scratch = await TemporaryDirectory.create();
  const job: ReadRootJob = { view: viewOfRoot(store, root, scratch.path), everywhere };
  const { changes, packages } = await runIsolated<ReadRootJob, ReadRootResult>(
    jobModule(import.meta.url, 'read-root.job'),
    job,
    options,
  );
  const marked = markIgnored(changes, packages);
  return { root, packages: packages.packages, changes: marked, notes: notesOf(root, packages.unread) };
}

export function viewOfRoot(store: Store, root: KeptRoot, mountPoint: string): RootView {
  const { chain, topLayer, directory, layer, made, since } = root;
  return {
    driver: store.driver.name,
    layers: store.paths.layers,
    chain,
    topLayer,
    directory,
    layer,
    made,
    since,
    mountPoint,
  };
}

function notesOf({ topLayer, name }: KeptRoot, unread: readonly string[]): string[] {
  return [
    ...(topLayer === 'unknown'
      ? [
          `the top layer that ${name} was booted with is no longer there to compare with: its files are told as changes`,
        ]
      : []),
    ...unread,
  ];
}
