import type { InstalledPackage } from '../packages/package.ts';
import { ownersOf, readPackages } from '../packages/read-packages.ts';
import { automaticPackages } from '../packages/automatic-packages.ts';
import { editedFiles } from '../packages/edited-files.ts';
import { isPackageDatabase } from '../packages/database-paths.ts';
import { RootedTree } from '../system/rooted.ts';
import type { FoundChange } from './drift.ts';

/** A package that a root has and what it was made of has not, or the other way round, or in another version. */
export interface PackageChange {
  kind: 'installed' | 'removed' | 'replaced';
  name: string;
  architecture: string;
  manager: InstalledPackage['manager'];
  version: string;
  /** Of one that was replaced, the version before. */
  before: string | undefined;
  /** Whether it came for another one's sake: its package manager says so. */
  automatic: boolean;
}

/** What package managers have done to a root; plain data. */
export interface PackageChanges {
  packages: PackageChange[];
  /** Path of a change -> index in `packages` of whose file that is. Not those that were edited later. */
  owners: Map<string, number>;
  /** What could not be read, in words. */
  unread: string[];
}

const nothing: PackageChanges = { packages: [], owners: new Map(), unread: [] };

/** Which packages came and went, and which of the changes are their files. Nothing is read where no database changed. */
export async function readPackageChanges(
  { below, merged }: { below: string; merged: string },
  changes: readonly FoundChange[],
): Promise<PackageChanges> {
  if (!changes.some(({ path }) => isPackageDatabase(path))) return nothing;
  const [before, after] = [new RootedTree(below), new RootedTree(merged)];
  const [had, has] = [await readPackages(before), await readPackages(after)];
  const automatic = automaticPackages(after);
  const packages = comparePackages(had.answer, has.answer).map((change) => ({
    ...change,
    automatic: automatic(change),
  }));
  const indexes = new Map(packages.map((change, index) => [keyOf(change), index]));
  const owners = new Map<string, number>();
  const take = async (tree: RootedTree, paths: readonly string[]): Promise<void> => {
    const { answer } = await ownersOf(
      tree,
      paths.map((path) => `/${path}`),
    );
    for (const [path, found] of answer) {
      const index = found.map((owner) => indexes.get(keyOf(owner))).find((one) => one !== undefined);
      if (index !== undefined) owners.set(path.slice(1), index);
    }
  };
  if (packages.length > 0) {
    await take(
      after,
      changes.filter(({ kind }) => kind !== 'deleted').map(({ path }) => path),
    );
    const edited = editedFiles(
      after,
      packages.filter(({ kind }) => kind !== 'removed'),
    );
    for (const path of edited) owners.delete(path);
    await take(
      before,
      changes.filter(({ kind }) => kind === 'deleted').map(({ path }) => path),
    );
  }
  return {
    packages,
    owners,
    unread: [...new Set([...had.unread, ...has.unread].map(({ message }) => message))],
  };
}

/** Pure. Of one that may be there more than once (kernels of rpm), each version is one of its own. */
export function comparePackages(
  before: readonly InstalledPackage[],
  after: readonly InstalledPackage[],
): Omit<PackageChange, 'automatic'>[] {
  const [had, has] = [groupByKey(before), groupByKey(after)];
  const keys = [...new Set([...had.keys(), ...has.keys()])].sort();
  return keys.flatMap((key): Omit<PackageChange, 'automatic'>[] => {
    const [old, now] = [had.get(key) ?? [], has.get(key) ?? []];
    const gone = old.filter(({ version }) => !now.some((one) => one.version === version));
    const came = now.filter(({ version }) => !old.some((one) => one.version === version));
    if (gone.length === 1 && came.length === 1) {
      return [{ ...came[0]!, kind: 'replaced', before: gone[0]!.version }];
    }
    return [
      ...gone.map((one) => ({ ...one, kind: 'removed' as const, before: undefined })),
      ...came.map((one) => ({ ...one, kind: 'installed' as const, before: undefined })),
    ];
  });
}

function groupByKey(packages: readonly InstalledPackage[]): Map<string, InstalledPackage[]> {
  const groups = new Map<string, InstalledPackage[]>();
  for (const one of packages) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return groups;
}

function keyOf({
  manager,
  name,
  architecture,
}: Pick<InstalledPackage, 'manager' | 'name' | 'architecture'>): string {
  return `${manager} ${name} ${architecture}`;
}
