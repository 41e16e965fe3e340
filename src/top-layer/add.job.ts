import { closeSync, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { applyChanges } from '../layer/commit-upper.ts';
import type { Change } from '../layer/changes.ts';
import { syncTree } from '../system/durable.ts';
import { LOCK_EX, tryFlock } from '../system/libc.ts';
import { removeTree } from '../system/remove-tree.ts';
import { findSources, type Sources } from './add-sources.ts';
import { openTopLayer } from './open.ts';
import type { TopLayerPlace } from './place.ts';
import { showName } from './show.ts';
import { FileTree } from './tree.ts';

/** Plain data. */
export interface AddJob {
  place: TopLayerPlace;
  /** The root file system that the files are of. */
  from: string;
  /** In that root; none to only remove what a killed job left. */
  paths: string[];
  /** An empty directory. */
  mountPoint: string;
}

export interface Added {
  /** Where the files were found: without symbolic links in their directories, as text. */
  paths: string[];
  /** What is no directory. */
  files: number;
  skipped: Sources['skipped'];
}

/**
 * Where files wait until all are there. A directory of that name is never copied by a boot, and it is on the file system
 * of the top layer, whatever that is.
 */
const ASIDE = '.wh..imgboot-new';

export async function runJob({ place, from, paths, mountPoint }: AddJob): Promise<Added> {
  const top = await openTopLayer(place, { mountPoint, writable: true });
  const lock = openSync(top, 'r');
  const aside = join(top, ASIDE);
  try {
    if (!tryFlock(lock, LOCK_EX))
      throw new ImgbootError('IMGBOOT_BUSY', `another imgboot is adding files to ${top}`, {
        hint: 'wait until it is done',
      });
    removeTree(aside);
    if (paths.length === 0) return { paths: [], files: 0, skipped: [] };
    try {
      return addAll({ top, aside, from, paths });
    } finally {
      removeTree(aside);
    }
  } finally {
    closeSync(lock);
  }
}

function addAll({
  top,
  aside,
  from,
  paths,
}: {
  top: string;
  aside: string;
  from: string;
  paths: string[];
}): Added {
  using tree = new FileTree(from);
  using topTree = new FileTree(top);
  const sources = findSources(tree, {
    paths: paths.map((path) => Buffer.from(path).toString('latin1')),
    except: topTree.facts('')!.inode,
  });
  for (const change of sources.changes) refuseConflict(topTree, change);
  mkdirSync(aside, { mode: 0o700 });
  applyChanges(sources.changes, { upper: from, root: aside });
  syncTree(aside);
  const isAsked = (path: string): boolean => sources.asked.some((one) => `/${path}/`.startsWith(`${one}/`));
  const merged = sources.changes.filter(
    ({ entry }) =>
      entry.type === 'directory' && topTree.facts(`/${entry.path}`) !== undefined && isAsked(entry.path),
  );
  moveAll(Buffer.from(aside), Buffer.from(top));
  // A directory that was there and was asked for is what it is on this machine now.
  applyChanges(merged, { upper: from, root: top });
  syncTree(top);
  return {
    paths: sources.asked.map(showName),
    files: sources.changes.filter(({ entry }) => entry.type !== 'directory').length,
    skipped: sources.skipped,
  };
}

/** @throws IMGBOOT_TOP_LAYER where the top layer has another kind of thing than what is to go there */
function refuseConflict(top: FileTree, { entry }: Change): void {
  const there = top.facts(`/${entry.path}`);
  if (there === undefined) return;
  const isDirectory = entry.type === 'directory';
  if ((there.kind === 'directory') === isDirectory) return;
  const [has, wants] = isDirectory ? [`a ${there.kind}`, 'a directory'] : ['a directory', `a ${entry.type}`];
  throw new ImgbootError(
    'IMGBOOT_TOP_LAYER',
    `the top layer has ${has} at ${showName(`/${entry.path}`)}, and this is ${wants}`,
    { hint: `delete ${top.root}/${showName(entry.path)} first, if it is not wanted any more` },
  );
}

/** Moves what is new into the place of what was there, one rename each: every file is the old or the new. */
function moveAll(from: Buffer, to: Buffer): void {
  const there = new Set(readdirSync(to, 'latin1'));
  for (const name of readdirSync(from, { encoding: 'latin1', withFileTypes: true })) {
    const [source, target] = [from, to].map((directory) =>
      Buffer.concat([directory, Buffer.from(`/${name.name}`, 'latin1')]),
    ) as [Buffer, Buffer];
    if (name.isDirectory() && there.has(name.name)) moveAll(source, target);
    else renameSync(source, target);
  }
}
