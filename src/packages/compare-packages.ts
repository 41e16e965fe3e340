import { byBytes } from '../system/rooted.ts';
import type { InstalledPackage } from './package.ts';
import { compareVersions } from './version-order.ts';

/** What became of a package from one root file system to another. */
export interface PackageChange {
  kind: 'added' | 'removed' | 'upgraded' | 'downgraded' | 'changed';
  name: string;
  manager: InstalledPackage['manager'];
  /** Of the second, or where it has none of the first. */
  architecture: string;
  /** Null where it was not there, or is no more. */
  from: string | null;
  to: string | null;
}

/** In what the packages of two root file systems differ, by name. */
export function comparePackages(
  before: readonly InstalledPackage[],
  after: readonly InstalledPackage[],
): PackageChange[] {
  const [was, is] = [byName(before), byName(after)];
  const names = [...new Set([...was.keys(), ...is.keys()])].sort(byBytes);
  return names.flatMap((name) => changesOf(was.get(name) ?? [], is.get(name) ?? []));
}

/** Of one name: one package on each side is the same one; of several, those of one architecture are. */
function changesOf(before: readonly InstalledPackage[], after: readonly InstalledPackage[]): PackageChange[] {
  const isLeft = (one: InstalledPackage, others: readonly InstalledPackage[]): boolean =>
    !others.some(({ version, architecture }) => version === one.version && architecture === one.architecture);
  const [gone, come] = [
    before.filter((one) => isLeft(one, after)),
    after.filter((one) => isLeft(one, before)),
  ];
  if (gone.length === 1 && come.length === 1) return [pair(gone[0]!, come[0]!)];
  const pairs = gone.flatMap((one) => {
    const alike = (other: InstalledPackage): boolean => other.architecture === one.architecture;
    const [other] = come.filter(alike);
    return other !== undefined && gone.filter(alike).length === 1 && come.filter(alike).length === 1
      ? [[one, other] as const]
      : [];
  });
  const paired = new Set(pairs.flat());
  return [
    ...pairs.map(([one, other]) => pair(one, other)),
    ...gone.filter((one) => !paired.has(one)).map((one) => single('removed', one)),
    ...come.filter((one) => !paired.has(one)).map((one) => single('added', one)),
  ];
}

function pair(before: InstalledPackage, after: InstalledPackage): PackageChange {
  const { name, manager, architecture } = after;
  const order = before.manager === manager ? compareVersions(manager, before.version, after.version) : 0;
  const kind = order < 0 ? 'upgraded' : order > 0 ? 'downgraded' : 'changed';
  return { kind, name, manager, architecture, from: before.version, to: after.version };
}

function single(
  kind: 'added' | 'removed',
  { name, manager, architecture, version }: InstalledPackage,
): PackageChange {
  const [from, to] = kind === 'added' ? [null, version] : [version, null];
  return { kind, name, manager, architecture, from, to };
}

function byName(packages: readonly InstalledPackage[]): Map<string, InstalledPackage[]> {
  return Map.groupBy(packages, ({ name }) => name);
}
