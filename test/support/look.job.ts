import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { compareTrees, type TreeDifference } from '../../src/layer/compare-trees.ts';
import { openView, type ImageView } from '../../src/store/view.ts';

/** What a test wants to know of an image's root file system. */
export interface LookJob {
  view: ImageView;
  compareWith?: string;
  read?: readonly string[];
  usageOf?: string;
}

export interface LookResult {
  differences: TreeDifference[];
  contents: (string | undefined)[];
  usage: { size: number; blocks: number } | undefined;
}

/** Looks at it in a mount namespace of its own. */
export function runJob({ view, compareWith, read = [], usageOf }: LookJob): Promise<LookResult> {
  const root = openView(view);
  return Promise.resolve({
    differences: compareWith === undefined ? [] : compareTrees(root, compareWith),
    contents: read.map((name) => contentOf(join(root, name))),
    usage: usageOf === undefined ? undefined : usage(join(root, usageOf)),
  });
}

function contentOf(file: string): string | undefined {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return stats.isSymbolicLink() ? `-> ${readlinkSync(file)}` : readFileSync(file, 'latin1');
}

function usage(file: string): { size: number; blocks: number } {
  const { size, blocks } = lstatSync(file);
  return { size, blocks: blocks * 512 };
}
