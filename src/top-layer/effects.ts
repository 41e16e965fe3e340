import { closeSync } from 'node:fs';
import { ACCESS_ACL, DEFAULT_ACL } from '../layer/attributes.ts';
import { sameContent } from '../system/same-content.ts';
import type { Step } from './apply-plan.ts';
import type { Scene } from './finding.ts';
import { factsOf, kindOf, type NewRoot, type RootNode } from './new-root.ts';
import { meaningOf } from './scan.ts';
import type { FileFacts, FileTree } from './tree.ts';

/** What a place of the new root has when the top layer is applied, beside what the image has there. */
export interface Effect {
  action:
    | 'add'
    /** Another file, or another kind of file. */
    | 'replace'
    /** The same content, or a directory that stays, with other attributes. */
    | 'alter'
    /** An account file with the names of both. */
    | 'merge'
    | 'delete'
    /** All but the time is the same. */
    | 'same'
    /** It is not copied. */
    | 'skip';
  /** In the new root, without symbolic links; of what is skipped, its path. A byte string. */
  place: string;
  /** What has the effect: in the top layer, a byte string. */
  path: string;
  /** What differs: `content`, `mode 755 to 700`, `owner 0:0 to 1000:1000`, `file to directory`. */
  what: string[];
}

interface Trees {
  image: FileTree;
  top: FileTree;
}

/** What the steps of a top layer come to, by place. */
export function netEffects(
  scene: Pick<Scene, 'before' | 'after' | 'steps' | 'entries' | 'image' | 'top'>,
): Effect[] {
  const { before, after, steps, entries } = scene;
  const effects = new Map<string, Effect>();
  const merged = new Set(steps.flatMap((step) => (step.kind === 'merge' ? step.place : [])));
  const add = (place: string, path: string): void => {
    const effect = effectAt(place, { before: before.at(place), after: after.at(place), path, trees: scene });
    if (effect === undefined) return;
    const isMerge = merged.has(place) && effect.action !== 'same';
    effects.set(place, isMerge ? { ...effect, action: 'merge' } : effect);
    const [old, now] = [before.at(place), after.at(place)];
    // A directory that was deleted and made anew has lost what the image had in it.
    if (!isDirectory(old) || !isDirectory(now) || now!.image !== undefined) return;
    for (const name of before.names(old!)) {
      const below = `${place}/${name}`;
      if (after.at(below) === undefined) add(below, path);
    }
  };
  for (const step of steps) for (const place of placesOf(step)) add(place, step.entry.path);
  const skipped = entries
    .filter((entry) => ['left-out', 'marker'].includes(meaningOf(entry).kind))
    .map(({ path }): Effect => ({ action: 'skip', place: path, path, what: [] }));
  return [...withoutBelow([...effects.values()], after), ...skipped].sort(byPlace);
}

function placesOf(step: Step): string[] {
  if (step.kind === 'empty') return step.gone ?? [];
  if (step.kind === 'refuse' || step.place === undefined) return [];
  return step.kind === 'copy' ? [...step.made, step.place] : [step.place];
}

/** What was in a directory that is gone goes with it. */
function withoutBelow(effects: readonly Effect[], after: NewRoot): Effect[] {
  return effects.filter(({ action, place }) => {
    if (action !== 'delete') return true;
    return isDirectory(after.at(place.slice(0, place.lastIndexOf('/'))));
  });
}

function effectAt(
  place: string,
  {
    before,
    after,
    path,
    trees,
  }: { before?: RootNode | undefined; after?: RootNode | undefined; path: string; trees: Trees },
): Effect | undefined {
  if (before === undefined) return after === undefined ? undefined : { action: 'add', place, path, what: [] };
  if (after === undefined) return { action: 'delete', place, path, what: [kindOf(before)] };
  const [old, now] = [factsOf(before), factsOf(after)];
  if (old.kind !== now.kind) return { action: 'replace', place, path, what: [`${old.kind} to ${now.kind}`] };
  const content = contentDifference({ before, after, trees });
  const attributes = attributeDifferences({ before, after, trees });
  const what = [...content, ...attributes];
  if (content.length > 0) return { action: 'replace', place, path, what };
  if (what.length > 0) return { action: 'alter', place, path, what };
  return { action: 'same', place, path, what: hasSameTime(old, now) ? [] : ['time'] };
}

/** That of a directory says when something was put into it. */
function hasSameTime(old: FileFacts, now: FileFacts): boolean {
  return now.kind === 'directory' || old.mtimeNs === now.mtimeNs;
}

interface Pair {
  before: RootNode;
  after: RootNode;
  trees: Trees;
}

function contentDifference({ before, after, trees }: Pair): string[] {
  const [old, now] = [factsOf(before), factsOf(after)];
  switch (now.kind) {
    case 'file':
      return hasSameContent({ before, after, trees }) ? [] : ['content'];
    case 'symlink':
      return old.linkTarget === now.linkTarget ? [] : [`link ${old.linkTarget} to ${now.linkTarget}`];
    case 'character':
    case 'block':
      return device(old) === device(now) ? [] : [`device ${device(old)} to ${device(now)}`];
    default:
      return [];
  }
}

function hasSameContent({ before, after, trees }: Pair): boolean {
  if (after.merged !== undefined) return after.merged === trees.image.read(before.place);
  if (after.entry === undefined) return true;
  if (factsOf(before).sizeBytes !== factsOf(after).sizeBytes) return false;
  const first = trees.image.open(before.place);
  try {
    const second = trees.top.open(after.entry.path);
    try {
      return sameContent(first, second);
    } finally {
      closeSync(second);
    }
  } finally {
    closeSync(first);
  }
}

function attributeDifferences({ before, after, trees }: Pair): string[] {
  if (after.entry === undefined) return [];
  const [old, now] = [factsOf(before), factsOf(after)];
  const octal = (facts: FileFacts): string => facts.mode.toString(8);
  const owner = (facts: FileFacts): string => `${facts.uid}:${facts.gid}`;
  return [
    ...(old.mode === now.mode || now.kind === 'symlink' ? [] : [`mode ${octal(old)} to ${octal(now)}`]),
    ...(owner(old) === owner(now) ? [] : [`owner ${owner(old)} to ${owner(now)}`]),
    ...xattrDifferences({ before, after, trees }),
  ];
}

/** A directory that stays keeps extended attributes that the top layer's has not; but no ACL. */
function xattrDifferences({ before, after, trees }: Pair): string[] {
  const old = trees.image.xattrs(before.place);
  const own = trees.top.xattrs(after.entry!.path);
  const isKept = after.image !== undefined;
  const names = new Set([...old.keys(), ...own.keys()]);
  return [...names].sort().flatMap((name) => {
    const isAcl = name === ACCESS_ACL || name === DEFAULT_ACL;
    const now = own.get(name) ?? (isKept && !isAcl ? old.get(name) : undefined);
    const was = old.get(name);
    const same = was === undefined || now === undefined ? was === now : was.equals(now);
    return same ? [] : [isAcl ? 'ACL' : name];
  });
}

function device({ device: { major, minor } }: FileFacts): string {
  return `${major}:${minor}`;
}

function isDirectory(node: RootNode | undefined): boolean {
  return node !== undefined && kindOf(node) === 'directory';
}

function byPlace(a: Effect, b: Effect): number {
  return a.place < b.place ? -1 : a.place > b.place ? 1 : 0;
}
