import { relative } from 'node:path';
import { errnoOf } from '../errors.ts';
import { diffTrees, type TreeChange, type TreesToCompare } from '../layer/diff-trees.ts';
import { enterRoot } from '../layer/enter-root.ts';
import { readXattrs } from '../system/libc.ts';
import type { OpenedRoot } from './root-view.ts';

/** How often a root is read anew whose system takes files away meanwhile. */
const TRIES = 5;

/** Paths of an opened root as they are seen from inside it. */
export type InsideRoot = Pick<TreesToCompare, 'changed' | 'below' | 'whole' | 'given' | 'touched'> & {
  image: string;
};

/**
 * Compares a root with what it was made of, entered with chroot(2), so that no link in it leads out, and has the changes
 * looked at from inside. Only in a process of its own.
 */
export function compareRoot<Result>(
  opened: OpenedRoot,
  options: Pick<TreesToCompare, 'made' | 'latestSeconds' | 'wanted' | 'passOver'>,
  look: (changes: TreeChange[], inside: InsideRoot) => Result,
): Result {
  const inside = insideOf(opened);
  // What is loaded at first use is loaded from outside.
  readXattrs(opened.place);
  using _inside = enterRoot(opened.place);
  for (let tries = 1; ; tries += 1) {
    try {
      return look(diffTrees({ ...inside, ...options }), inside);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || tries === TRIES) throw error;
    }
  }
}

function insideOf({ place, whole, touched, ...directories }: OpenedRoot): InsideRoot {
  const inside = (path: string): string => `/${relative(place, path)}`;
  return {
    whole,
    touched,
    changed: inside(directories.changed),
    below: inside(directories.below),
    image: inside(directories.image),
    given: directories.given === undefined ? undefined : inside(directories.given),
  };
}
