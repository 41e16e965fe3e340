import { explainChange, type TreeChange } from '../layer/diff-trees.ts';
import { compareRoot, type InsideRoot } from './compare-root.ts';
import type { FoundChange } from './drift.ts';
import { ignoringRule } from './ignore.ts';
import { readPackageChanges, type PackageChanges } from './package-changes.ts';
import { openRoot, type RootView } from './root-view.ts';

export interface ReadRootJob {
  view: RootView;
  /** Look into directories that the list of ignored paths has, too. */
  everywhere: boolean;
}

export interface ReadRootResult {
  changes: FoundChange[];
  packages: PackageChanges;
}

export async function runJob({ view, everywhere }: ReadRootJob): Promise<ReadRootResult> {
  const opened = openRoot(view);
  const options = {
    made: view.made,
    latestSeconds: undefined,
    ...(everywhere ? {} : { passOver: (path: string) => ignoringRule(`${path}/`) !== undefined }),
  };
  const changes = compareRoot(opened, options, (found, inside) =>
    found.flatMap((change) => explained(change, inside) ?? []),
  );
  return { changes, packages: await readPackageChanges(opened, changes) };
}

/** Undefined for a directory in which only what it has was changed. */
function explained({ kind, path, entry }: TreeChange, inside: InsideRoot): FoundChange | undefined {
  if (kind === 'deleted') return { kind, path, type: undefined, differs: [] };
  const type = entry.type === 'hardlink' ? 'file' : entry.type;
  if (kind === 'added') return { kind, path, type, differs: [] };
  const differs = explainChange(inside, path);
  if (type === 'directory' && differs.every((one) => one === 'time')) return undefined;
  return { kind, path, type, differs: differs.length === 0 ? ['links'] : differs };
}
