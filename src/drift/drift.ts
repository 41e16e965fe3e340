import type { Difference } from '../layer/differences.ts';
import type { EntryType } from '../layer/tar-entry.ts';
import { isPackageDatabase } from '../packages/database-paths.ts';
import { ignoringRule } from './ignore.ts';
import type { PackageChanges } from './package-changes.ts';

/** A path at which a root differs from what it was made of, as the root's reader finds it. */
export interface FoundChange {
  kind: 'added' | 'changed' | 'deleted';
  /** From the root, without its slash; a byte string. */
  path: string;
  /** What is there; of a deletion, undefined. */
  type: EntryType | undefined;
  /** In what a changed path differs; `links` where in nothing but that its file has another name more, or less. */
  differs: (Difference | 'links')[];
}

/** The same with what it is to be told with. */
export interface DriftChange extends FoundChange {
  /** Why it is not told: a line of the ignore list, or `time` for what differs in nothing else. */
  ignored: string | undefined;
  /** The package that came, went or was replaced with it: its index; `database` for what package managers note. */
  package: number | 'database' | undefined;
}

/**
 * Marks what every boot changes: what the ignore list has, and what only got another time. Directories whose names
 * changed have another time, too. Pure.
 */
export function markIgnored(
  changes: readonly FoundChange[],
  { packages, owners }: Pick<PackageChanges, 'packages' | 'owners'>,
): DriftChange[] {
  return changes.map((change) => {
    const onlyTime = change.kind === 'changed' && change.differs.every((differs) => differs === 'time');
    const isDatabase = packages.length > 0 && isPackageDatabase(change.path);
    return {
      ...change,
      ignored: ignoringRule(change.path) ?? (onlyTime ? 'time' : undefined),
      package: isDatabase ? 'database' : owners.get(change.path),
    };
  });
}

/** Whether a change says something of what somebody wanted. */
export function isTold({ ignored }: DriftChange): boolean {
  return ignored === undefined;
}
