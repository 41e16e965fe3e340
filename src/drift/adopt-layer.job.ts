import { makeChangeLayer, type MadeLayer } from '../store/change-layer.ts';
import { compareRoot } from './compare-root.ts';
import { withMissingParents } from './missing-parents.ts';
import { openRoot, type RootView } from './root-view.ts';
import { statsAt } from './stats-at.ts';

export interface AdoptLayerJob {
  view: RootView;
  /** Paths of the changes that are meant. */
  wanted: ReadonlySet<string>;
  latestSeconds: bigint | undefined;
  /** An empty directory of the store. */
  scratch: string;
  layer: { tar: string; newName: string };
}

/** A layer of the changes, on the image; undefined where none of them is one of the image. */
export function runJob(job: AdoptLayerJob): Promise<MadeLayer | undefined> {
  const { view, wanted, latestSeconds } = job;
  const opened = openRoot(view);
  const changes = compareRoot(
    opened,
    { made: view.made, latestSeconds, wanted },
    (found, { image, changed }) => {
      const isThere = (path: string): boolean => statsAt(image, path) !== undefined;
      // What only the top layer brought need not be deleted from the image.
      const own = found.filter(({ kind, path }) => kind !== 'deleted' || isThere(path));
      return withMissingParents(own, { from: changed, isThere, latestSeconds });
    },
  );
  if (changes.length === 0) return Promise.resolve(undefined);
  return Promise.resolve(
    makeChangeLayer(changes, { ...job, ...view, ...job.layer, changed: opened.changed }),
  );
}
