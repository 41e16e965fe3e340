import { compareTrees, type TreeDifference } from '../../src/layer/compare-trees.ts';
import { openView, type ImageView } from '../../src/store/view.ts';

/** Where an image's root file system differs from a directory, but for times: they were made one after the other. */
export function runJob({ view, other }: { view: ImageView; other: string }): Promise<TreeDifference[]> {
  const all = compareTrees(openView(view), other, Infinity);
  return Promise.resolve(all.filter(({ what }) => !what.startsWith('time ')));
}
