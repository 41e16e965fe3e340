import { closeSync, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Change } from '../layer/changes.ts';
import { applyChanges, type AppliedChange } from '../layer/commit-upper.ts';
import { enterRoot } from '../layer/enter-root.ts';
import { syncTree } from '../system/durable.ts';
import { LOCK_EX, tryFlock } from '../system/libc.ts';
import { removeTree } from '../system/remove-tree.ts';
import { showName } from './show.ts';
import { FileTree } from './tree.ts';

/** What is to go into a top layer. */
export interface TopLayerChanges {
  /** Each directory before what is in it. A name that begins with `.wh.` is a file of the top layer like others. */
  changes: readonly AppliedChange[];
  /** The root that has the content of what is no deletion. */
  from: string;
  /** Directories among them that get their attributes where they are there already. */
  describes: (change: Change) => boolean;
  /** Paths that the top layer loses, byte strings without the first slash: when all else is in place. */
  loses?: readonly string[];
}

/**
 * Where files wait until all are there. A directory of that name is never copied by a boot, and it is on the file system
 * of the top layer, whatever that is.
 */
const ASIDE = '.wh..imgboot-new';

/**
 * Has a top layer to itself, and takes away what somebody who was killed has left there. Chroots: only in a process of
 * its own.
 * @throws IMGBOOT_BUSY
 */
export function withTopLayer<Result>(top: string, action: () => Result): Result {
  const lock = openSync(top, 'r');
  try {
    if (!tryFlock(lock, LOCK_EX))
      throw new ImgbootError('IMGBOOT_BUSY', `another imgboot is adding files to ${top}`, {
        hint: 'wait until it is done',
      });
    removeTree(join(top, ASIDE));
    try {
      return action();
    } finally {
      removeTree(join(top, ASIDE));
    }
  } finally {
    closeSync(lock);
  }
}

/**
 * Puts files into a top layer, within {@link withTopLayer}. Each file is the old or the new whenever it is stopped.
 * @throws IMGBOOT_TOP_LAYER where the top layer has another kind of thing
 */
export function putChanges(top: string, { changes, from, describes, loses = [] }: TopLayerChanges): void {
  const aside = join(top, ASIDE);
  using topTree = new FileTree(top);
  for (const change of changes) if (!loses.includes(change.entry.path)) refuseConflict(topTree, change);
  mkdirSync(aside, { mode: 0o700 });
  applyChanges(changes, { upper: from, root: aside, plainNames: true });
  syncTree(aside);
  const merged = changes.filter(
    (change) =>
      change.entry.type === 'directory' &&
      topTree.facts(`/${change.entry.path.replace(/\/$/, '')}`) !== undefined &&
      describes(change),
  );
  moveAll(Buffer.from(aside), Buffer.from(top));
  // A directory that was there and was asked for is what it is on this machine now.
  applyChanges(merged, { upper: from, root: top });
  if (loses.length > 0) {
    using _inside = enterRoot(top);
    for (const path of loses) removeTree(Buffer.from(`/${path}`, 'latin1'));
  }
  syncTree(top);
}

/** @throws IMGBOOT_TOP_LAYER where the top layer has another kind of thing than what is to go there */
function refuseConflict(top: FileTree, { entry }: Change): void {
  const there = top.facts(`/${entry.path.replace(/\/$/, '')}`);
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
