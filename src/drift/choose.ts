import { posix } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { parseShownName, showName } from '../top-layer/show.ts';
import type { Drift } from './diff-root.ts';
import { isTold, type DriftChange } from './drift.ts';
import { ignoringRule } from './ignore.ts';

/** What somebody wants of a drift. */
export interface Wish {
  /** Absolute paths as they are shown: of a directory, all that changed in it. */
  paths: readonly string[];
  /** Names of packages that came or went. */
  packages: readonly string[];
  /** All that is told. */
  all: boolean;
}

/** Changes of a root that were picked. */
export interface Chosen {
  drift: Drift;
  changes: DriftChange[];
}

/** Paths of a wish as byte strings from the root, without the slash. @throws IMGBOOT_USAGE */
export function wantedPaths({ paths }: Pick<Wish, 'paths'>): string[] {
  return paths.map((path) => {
    if (!path.startsWith('/')) {
      throw new ImgbootError('IMGBOOT_USAGE', `${JSON.stringify(path)} is no absolute path`, {
        hint: 'give paths as imgboot deployment diff shows them',
      });
    }
    return posix.normalize(parseShownName(path)).replace(/^\/|\/$/g, '');
  });
}

/** Whether somebody wants what is not told otherwise, by its name. */
export function wantsIgnored(paths: readonly string[]): boolean {
  return paths.some((path) => ignoringRule(path) !== undefined);
}

/**
 * The changes that are meant. What is not told comes only with its own name, or that of a directory that is not told
 * either. Pure.
 * @throws IMGBOOT_NOT_CHANGED for a path or a package that names nothing
 */
export function chooseChanges({ changes, packages, root }: Drift, wish: Wish): DriftChange[] {
  const paths = wantedPaths(wish);
  const indexes = wish.packages.flatMap((name) => {
    const found = [...packages.keys()].filter((index) => packages[index]!.name === name);
    if (found.length === 0) throw notChanged(`the package ${JSON.stringify(name)}`, root.name);
    return found;
  });
  const missing = paths.findIndex((path) => !changes.some((change) => isMeant(change, path)));
  if (missing !== -1) throw notChanged(`/${showName(paths[missing]!)}`, root.name);
  return changes.filter(
    (change) =>
      (wish.all && isTold(change)) ||
      paths.some((path) => isMeant(change, path)) ||
      (typeof change.package === 'number' && indexes.includes(change.package)),
  );
}

function isMeant(change: DriftChange, path: string): boolean {
  if (change.path === path) return true;
  const isBelow = path === '' || change.path.startsWith(`${path}/`);
  return isBelow && (isTold(change) || (change.ignored !== 'time' && ignoringRule(path) !== undefined));
}

function notChanged(what: string, name: string): ImgbootError {
  return new ImgbootError('IMGBOOT_NOT_CHANGED', `${what} was not changed on ${name}`, {
    hint: 'imgboot deployment diff shows what was',
  });
}
