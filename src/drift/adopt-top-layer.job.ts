import { whiteoutEntry } from '../layer/changes.ts';
import type { AppliedChange } from '../layer/commit-upper.ts';
import type { TreeChange } from '../layer/diff-trees.ts';
import { REPLACE_ACCOUNTS, mergeAccounts } from '../top-layer/account-files.ts';
import { openTopLayer } from '../top-layer/open.ts';
import type { TopLayerPlace } from '../top-layer/place.ts';
import { putChanges, withTopLayer } from '../top-layer/put-changes.ts';
import { FileTree } from '../top-layer/tree.ts';
import { splitAccounts, type ChangedAccounts } from './changed-accounts.ts';
import { compareRoot } from './compare-root.ts';
import { withMissingParents } from './missing-parents.ts';
import { openRoot, type OpenedRoot, type RootView } from './root-view.ts';
import { statsAt } from './stats-at.ts';

export interface AdoptTopLayerJob {
  view: RootView;
  /** Paths of the changes that are meant. */
  wanted: ReadonlySet<string>;
  place: TopLayerPlace;
  /** An empty directory, for a top layer on a device. */
  topMountPoint: string;
  /** Only takes away what a job that was killed has left. */
  onlyTidy: boolean;
}

export interface AdoptedIntoTopLayer {
  /** Accounts that are gone, which no top layer can say, as byte strings: `etc/passwd: name`. */
  unsaid: string[];
}

export async function runJob(job: AdoptTopLayerJob): Promise<AdoptedIntoTopLayer> {
  const top = await openTopLayer(job.place, { mountPoint: job.topMountPoint, writable: true });
  return withTopLayer(top, () => (job.onlyTidy ? { unsaid: [] } : adopt(top, job)));
}

function adopt(top: string, { view, wanted }: AdoptTopLayerJob): AdoptedIntoTopLayer {
  using tree = new FileTree(top);
  const opened = openRoot(view);
  const { accounts, others, inImage } = readWanted(opened, {
    view,
    wanted,
    merge: !has(tree, REPLACE_ACCOUNTS),
  });
  // A directory above is brought where the top layer has none.
  const brought = others.filter(({ path, kind, entry }) => {
    const isAbove = entry.type === 'directory' && !wanted.has(path);
    return kind !== 'deleted' && !(isAbove && tree.facts(`/${path}`)?.kind === 'directory');
  });
  const deleted = others.filter(({ kind }) => kind === 'deleted').map(({ path }) => path);
  const came = [...brought, ...accounts.map(({ change }) => change)]
    .map(({ path }) => path)
    .filter((path) => wanted.has(path));
  putChanges(top, {
    changes: [
      ...brought,
      ...accounts.flatMap((one) => accountsEntry(tree, one) ?? []),
      ...deleted.filter((path) => inImage.has(path)).map(deletionEntry),
    ],
    from: opened.changed,
    describes: ({ entry }) => wanted.has(entry.path.replace(/\/$/, '')),
    loses: [...deleted, ...came.map(whiteoutPath)].filter((path) => has(tree, path)),
  });
  return {
    unsaid: accounts.flatMap(({ change, removed }) => removed.map((name) => `${change.path}: ${name}`)),
  };
}

interface Wanted {
  accounts: ChangedAccounts[];
  /** With all directories above. */
  others: TreeChange[];
  inImage: Set<string>;
}

function readWanted(
  opened: OpenedRoot,
  { view, wanted, merge }: { view: RootView; wanted: ReadonlySet<string>; merge: boolean },
): Wanted {
  const options = { made: view.made, latestSeconds: undefined, wanted };
  return compareRoot(opened, options, (found, inside) => {
    const all = withMissingParents(found, {
      from: inside.changed,
      isThere: () => false,
      latestSeconds: undefined,
    });
    return {
      ...(merge ? splitAccounts(all, inside) : { accounts: [], others: all }),
      inImage: new Set(
        found.map(({ path }) => path).filter((path) => statsAt(inside.image, path) !== undefined),
      ),
    };
  });
}

/** The lines that were changed, merged with those that the top layer has already. */
function accountsEntry(tree: FileTree, { change, lines }: ChangedAccounts): AppliedChange | undefined {
  if (lines.size === 0) return undefined;
  const own = tree.facts(`/${change.path}`)?.kind === 'file' ? tree.read(`/${change.path}`) : '';
  const text = mergeAccounts(own, [...lines.values()].flat().join('\n'));
  const content = Buffer.from(text, 'latin1');
  return { entry: { ...change.entry, size: content.length }, source: undefined, content };
}

function deletionEntry(path: string): AppliedChange {
  return { entry: { ...whiteoutEntry(path), mode: 0o600 }, source: undefined };
}

function whiteoutPath(path: string): string {
  return whiteoutEntry(path).path;
}

/** No part of the path on the way may be a symbolic link. */
function has(tree: FileTree, path: string): boolean {
  const parts = path.split('/');
  const isDirectory = (_: string, index: number): boolean =>
    index === 0 || tree.facts(`/${parts.slice(0, index).join('/')}`)?.kind === 'directory';
  return parts.every(isDirectory) && tree.facts(`/${path}`) !== undefined;
}
