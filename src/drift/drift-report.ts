import { showName } from '../top-layer/show.ts';
import type { Drift } from './diff-root.ts';
import { isTold, type DriftChange } from './drift.ts';
import type { DriftPackage } from './package-changes.ts';

/** A change as `--json` tells it. */
export interface ReportedChange {
  kind: DriftChange['kind'];
  /** Absolute; as showName has it. */
  path: string;
  type: DriftChange['type'] | null;
  differs: DriftChange['differs'];
  /** Its package's name; `database` of package managers' own files. */
  package: string | null;
  ignored: string | null;
}

/** A {@link Drift} as `--json` tells it. */
export interface DriftReport {
  root: { name: string; layer: string; booted: boolean; chain: string };
  packages: DriftPackage[];
  changes: ReportedChange[];
  notes: string[];
}

export function driftReport(
  { root, packages, changes, notes }: Drift,
  { all }: { all: boolean },
): DriftReport {
  const { name, layer, booted, chainId } = root;
  return {
    root: { name, layer, booted, chain: chainId },
    packages,
    changes: changes
      .filter((change) => all || isTold(change))
      .map((change) => reportChange(change, packages)),
    notes,
  };
}

export function reportChange(change: DriftChange, packages: readonly DriftPackage[]): ReportedChange {
  return {
    kind: change.kind,
    path: `/${showName(change.path)}`,
    type: change.type ?? null,
    differs: change.differs,
    package: typeof change.package === 'number' ? packages[change.package]!.name : (change.package ?? null),
    ignored: change.ignored ?? null,
  };
}
