import { compareTrees, type TreeDifference } from '../../src/layer/compare-trees.ts';
import { openView, type ImageView } from '../../src/store/view.ts';

export interface CompareJob {
  view: ImageView;
  other: string;
}

/** Compares an image's root file system with a directory, in a mount namespace of its own. */
export function runJob({ view, other }: CompareJob): Promise<TreeDifference[]> {
  return Promise.resolve(compareTrees(openView(view), other));
}
