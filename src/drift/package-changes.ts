import { comparePackages, type PackageChange } from '../packages/compare-packages.ts';
import type { InstalledPackage } from '../packages/package.ts';
import { ownersOf, readPackages } from '../packages/read-packages.ts';
import { automaticPackages } from '../packages/automatic-packages.ts';
import { editedFiles } from '../packages/edited-files.ts';
import { isPackageDatabase } from '../packages/database-paths.ts';
import { RootedTree } from '../system/rooted.ts';
import type { FoundChange } from './drift.ts';

/** A package that came, went, or has another version. */
export interface DriftPackage extends PackageChange {
  /** Whether it is there for another one's sake: its package manager says so. */
  automatic: boolean;
}

/** What package managers have done to a root; plain data. */
export interface PackageChanges {
  packages: DriftPackage[];
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
    automatic: automatic({ ...change, version: change.to ?? '' }),
  }));
  const owners = new Map<string, number>();
  const take = async (tree: RootedTree, paths: readonly string[], side: 'from' | 'to'): Promise<void> => {
    const { answer } = await ownersOf(
      tree,
      paths.map((path) => `/${path}`),
    );
    for (const [path, found] of answer) {
      const index = found.map((owner) => indexOf(packages, owner, side)).find((one) => one !== -1);
      if (index !== undefined) owners.set(path.slice(1), index);
    }
  };
  if (packages.length > 0) {
    await take(
      after,
      changes.filter(({ kind }) => kind !== 'deleted').map(({ path }) => path),
      'to',
    );
    const edited = editedFiles(
      after,
      packages.filter(({ kind }) => kind !== 'removed'),
    );
    for (const path of edited) owners.delete(path);
    await take(
      before,
      changes.filter(({ kind }) => kind === 'deleted').map(({ path }) => path),
      'from',
    );
  }
  return {
    packages,
    owners,
    unread: [...new Set([...had.unread, ...has.unread].map(({ message }) => message))],
  };
}

/** Which of the changes a package of one of the two roots is: its version is there on one side, or on both. */
function indexOf(packages: readonly DriftPackage[], owner: InstalledPackage, side: 'from' | 'to'): number {
  const alike = (one: DriftPackage): boolean =>
    one.manager === owner.manager && one.name === owner.name && one[side] === owner.version;
  const same = packages.findIndex((one) => alike(one) && one.architecture === owner.architecture);
  return same === -1 ? packages.findIndex(alike) : same;
}
