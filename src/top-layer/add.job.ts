import { findSources, type Sources } from './add-sources.ts';
import { openTopLayer } from './open.ts';
import type { TopLayerPlace } from './place.ts';
import { putChanges, withTopLayer } from './put-changes.ts';
import { showName } from './show.ts';
import { FileTree } from './tree.ts';

/** Plain data. */
export interface AddJob {
  place: TopLayerPlace;
  /** The root file system that the files are of. */
  from: string;
  /** In that root; none to only remove what a killed job left. */
  paths: string[];
  /** An empty directory. */
  mountPoint: string;
}

export interface Added {
  /** Where the files were found: without symbolic links in their directories, as text. */
  paths: string[];
  /** What is no directory. */
  files: number;
  skipped: Sources['skipped'];
}

export async function runJob({ place, from, paths, mountPoint }: AddJob): Promise<Added> {
  const top = await openTopLayer(place, { mountPoint, writable: true });
  return withTopLayer(top, () =>
    paths.length === 0 ? { paths: [], files: 0, skipped: [] } : addAll({ top, from, paths }),
  );
}

function addAll({ top, from, paths }: { top: string; from: string; paths: string[] }): Added {
  using tree = new FileTree(from);
  using topTree = new FileTree(top);
  const sources = findSources(tree, {
    paths: paths.map((path) => Buffer.from(path).toString('latin1')),
    except: topTree.facts('')!.inode,
  });
  const { changes } = sources;
  const isAsked = (path: string): boolean => sources.asked.some((one) => `/${path}/`.startsWith(`${one}/`));
  putChanges(top, { changes, from, describes: ({ entry }) => isAsked(entry.path) });
  return {
    paths: sources.asked.map(showName),
    files: changes.filter(({ entry }) => entry.type !== 'directory').length,
    skipped: sources.skipped,
  };
}
