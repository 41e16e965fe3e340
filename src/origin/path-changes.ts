import type { Difference } from '../layer/differences.ts';
import { aspectsThatDiffer, isUntouched } from './aspects.ts';
import type { Found, Levels } from './levels.ts';

/** What a level did to a path. */
export interface LevelChange {
  kind: 'added' | 'changed' | 'deleted';
  level: number;
  /** Of what was changed; empty otherwise. */
  aspects: Difference[];
  /** Of what was deleted: the directory that went with all that was in it, as a byte string, where it is one. */
  with: string | undefined;
  /** When the level last touched it, in nanoseconds since 1970; undefined where that cannot be told. */
  timeNs: bigint | undefined;
}

/** What each level did to a path, the latest first. What was written once more as it was is no change. */
export function changesOfPath(levels: Levels, path: string): LevelChange[] {
  const changes: LevelChange[] = [];
  let before: Found | undefined;
  for (let level = 0; level < levels.count; level += 1) {
    const after = levels.find(path, level);
    const change = changeOf(before, after);
    if (change !== undefined)
      changes.push({
        ...change,
        level,
        with: change.kind === 'deleted' ? goneWith(levels, path, level) : undefined,
        timeNs: after?.stats.ctimeNs,
      });
    before = after;
  }
  return changes.toReversed();
}

function changeOf(
  before: Found | undefined,
  after: Found | undefined,
): Pick<LevelChange, 'kind' | 'aspects'> | undefined {
  if (before === undefined) return after && { kind: 'added', aspects: [] };
  if (after === undefined) return { kind: 'deleted', aspects: [] };
  const aspects = differences(before, after);
  return aspects.length === 0 ? undefined : { kind: 'changed', aspects };
}

/** The topmost directory above the path that the level took away. */
function goneWith(levels: Levels, path: string, level: number): string | undefined {
  for (let slash = path.indexOf('/', 1); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const above = path.slice(0, slash);
    if (levels.find(above, level)?.stats.isDirectory() !== true) return above;
  }
  return undefined;
}

/** The same inode as below is the same file. */
function differences(before: Found, after: Found): Difference[] {
  if (before.level === after.level || isUntouched(before.stats, after.stats)) return [];
  return aspectsThatDiffer(before, after);
}
