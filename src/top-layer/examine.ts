import { accountFindings } from './account-findings.ts';
import { applyInMemory } from './apply-plan.ts';
import { attributeFindings, overlayFindings } from './attribute-findings.ts';
import { netEffects, type Effect } from './effects.ts';
import type { Finding, Scene } from './finding.ts';
import { NewRoot } from './new-root.ts';
import { ownerFindings } from './owner-findings.ts';
import { placeFindings } from './place-findings.ts';
import { scanTopLayer } from './scan.ts';
import type { FileTree } from './tree.ts';
import { typeFindings } from './type-findings.ts';
import { whiteoutFindings } from './whiteout-findings.ts';

/** What applying a top layer to an image comes to. */
export interface Examination {
  /** By place. */
  effects: Effect[];
  /** Errors first, then by path. */
  findings: Finding[];
}

const levels = ['error', 'warning', 'note'] as const;

/**
 * Says what a boot would make of an image and a top layer, and where the two collide. Of the image, only what the top
 * layer has paths for is looked at, and its account files.
 * @param persist directories that the boot mounts over the root, absolute
 */
export function examine({
  image,
  top,
  persist,
}: {
  image: FileTree;
  top: FileTree;
  persist: readonly string[];
}): Examination & { scene: Scene } {
  const { entries, sockets } = scanTopLayer(top);
  const after = new NewRoot(image);
  const steps = applyInMemory(after, { tree: top, entries, image });
  const before = new NewRoot(image);
  const scene: Scene = { entries, sockets, steps, before, after, image, top, persist };
  const effects = netEffects(scene);
  const findings = [
    ...typeFindings(scene),
    ...whiteoutFindings(scene),
    ...ownerFindings(scene),
    ...accountFindings(scene),
    ...attributeFindings(scene, effects),
    ...overlayFindings(scene),
    ...placeFindings(scene),
  ];
  return { effects, findings: findings.sort(byLevelAndPath), scene };
}

function byLevelAndPath(a: Finding, b: Finding): number {
  const rank = levels.indexOf(a.level) - levels.indexOf(b.level);
  if (rank !== 0) return rank;
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
