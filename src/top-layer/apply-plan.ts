import { accountFiles, mergeAccounts, REPLACE_ACCOUNTS } from './account-files.ts';
import { factsOf, kindOf, type NewRoot, type RootNode } from './new-root.ts';
import { meaningOf, type TopEntry } from './scan.ts';
import type { FileFacts, FileTree } from './tree.ts';

/** One thing that the boot does for an entry of a top layer, in the order in which it does them. */
export type Step =
  /** `.wh.NAME`; `gone` is what was there. */
  | { kind: 'delete'; entry: TopEntry; place: string | undefined; gone: FileFacts | undefined }
  /** `.wh..wh..opq`; the places of what was in the directory, undefined where there is no such directory. */
  | { kind: 'empty'; entry: TopEntry; gone: string[] | undefined }
  /** A directory of the image gives way to something else. */
  | { kind: 'way'; entry: TopEntry; place: string; gone: FileFacts }
  /**
   * Copied. `over` is what was at the place; of a directory, `through` is the link that it is reached by; `made` are the
   * places of directories that had to be made anew on the way.
   */
  | {
      kind: 'copy';
      entry: TopEntry;
      place: string;
      over: FileFacts | undefined;
      through: FileFacts | undefined;
      made: string[];
    }
  /** An account file has got the image's names, too. */
  | { kind: 'merge'; entry: TopEntry; place: string; image: string }
  /** Stops the boot. */
  | { kind: 'refuse'; entry: TopEntry; why: string };

/**
 * Applies a top layer to a root in memory, step by step as a boot does it: first all deletions, then GNU tar's copies in
 * the order of the names, then the accounts. @see hooks/lib/toplayer.sh
 */
export function applyInMemory(
  root: NewRoot,
  layer: { tree: FileTree; entries: readonly TopEntry[]; image: FileTree },
): Step[] {
  const { entries } = layer;
  const steps = entries
    .filter(({ facts }) => facts.kind !== 'directory')
    .flatMap((entry) => makeWay(root, entry) ?? []);
  const accounts = savedAccounts(root, layer);
  steps.push(...copyAll(root, entries));
  for (const { entry, image } of accounts) {
    const found = root.resolve(entry.path);
    if (found.kind !== 'found') continue;
    found.node.merged = mergeAccounts(image ?? '', layer.tree.read(entry.path));
    if (image !== undefined) steps.push({ kind: 'merge', entry, place: found.node.place, image });
  }
  return steps;
}

/** What imgboot_make_way does. */
function makeWay(root: NewRoot, entry: TopEntry): Step | undefined {
  const meaning = meaningOf(entry);
  const { found, name } = root.locate(entry.path);
  if (meaning.kind === 'refused') return { kind: 'refuse', entry, why: meaning.why };
  if (meaning.kind === 'opaque') {
    if (found.kind !== 'found' || kindOf(found.node) !== 'directory')
      return { kind: 'empty', entry, gone: undefined };
    const gone = root.names(found.node).map((one) => root.child(found.node, one)!);
    for (const node of gone) root.remove(node);
    return { kind: 'empty', entry, gone: gone.map(({ place }) => place) };
  }
  if (meaning.kind === 'whiteout') {
    if (found.kind === 'missing') return { kind: 'delete', entry, place: undefined, gone: undefined };
    // rm -f is silent about what is not there, and about nothing else.
    if (found.kind === 'failed' || kindOf(found.node) !== 'directory')
      return { kind: 'refuse', entry, why: 'the image has no directory where it is to delete something' };
    const node = root.child(found.node, meaning.name);
    if (node !== undefined) root.remove(node);
    return { kind: 'delete', entry, place: node?.place, gone: node && factsOf(node) };
  }
  if (found.kind !== 'found' || kindOf(found.node) !== 'directory') return undefined;
  const node = root.child(found.node, name);
  if (node === undefined || kindOf(node) !== 'directory') return undefined;
  root.remove(node);
  return { kind: 'way', entry, place: node.place, gone: factsOf(node) };
}

/** The account files that will be merged, with what the image has: undefined where it has no such file. */
function savedAccounts(
  root: NewRoot,
  { entries, image }: { entries: readonly TopEntry[]; image: FileTree },
): { entry: TopEntry; image: string | undefined }[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  if (byPath.has(`/${REPLACE_ACCOUNTS}`)) return [];
  return accountFiles.flatMap((name) => {
    const entry = byPath.get(`/etc/${name}`);
    if (entry?.facts.kind !== 'file') return [];
    const found = root.resolve(entry.path);
    const hasOne = found.kind === 'found' && kindOf(found.node) === 'file';
    return [{ entry, image: hasOne ? image.read(found.node.place) : undefined }];
  });
}

/** What GNU tar does with --keep-directory-symlink. */
function copyAll(root: NewRoot, entries: readonly TopEntry[]): Step[] {
  const firstNames = new Map<string, TopEntry>();
  return entries.flatMap((entry): Step[] => {
    const { facts } = entry;
    const first = facts.kind === 'directory' || facts.names < 2 ? undefined : firstNames.get(facts.inode);
    if (first === undefined) firstNames.set(facts.inode, entry);
    if (meaningOf(entry).kind !== 'content') return [];
    if (first !== undefined && !isThere(root, first.path))
      return [{ kind: 'refuse', entry, why: `it is a hard link to ${first.path}, which is not copied` }];
    return [copy(root, entry)];
  });
}

function copy(root: NewRoot, entry: TopEntry): Step {
  const made = makeDirectories(root, entry.path);
  const { found, name } = root.locate(entry.path);
  if (found.kind !== 'found' || kindOf(found.node) !== 'directory')
    return { kind: 'refuse', entry, why: 'its directory is not there by then' };
  const node = root.child(found.node, name);
  const over = node && factsOf(node);
  if (node !== undefined && entry.facts.kind === 'directory') {
    if (kindOf(node) === 'directory') {
      node.entry = entry;
      return { kind: 'copy', entry, place: node.place, over, through: undefined, made };
    }
    const target = kindOf(node) === 'symlink' ? root.resolve(entry.path) : undefined;
    // The directory that a link leads to keeps its own attributes.
    if (target?.kind === 'found' && kindOf(target.node) === 'directory')
      return {
        kind: 'copy',
        entry,
        place: target.node.place,
        over: factsOf(target.node),
        through: over,
        made,
      };
  }
  if (node !== undefined && kindOf(node) === 'directory' && !isEmpty(root, node))
    return { kind: 'refuse', entry, why: 'another part of the top layer is a directory at the same place' };
  if (node !== undefined) root.remove(node);
  // What was there may have been the way to it: a link to a directory above itself.
  made.push(...makeDirectories(root, entry.path));
  const again = root.locate(entry.path);
  if (again.found.kind !== 'found') return { kind: 'refuse', entry, why: 'its directory cannot be made' };
  const { place } = root.put(again.found.node, name, entry);
  return { kind: 'copy', entry, place, over, through: undefined, made };
}

/** What tar does where a directory of a path is missing. @returns the places of those that it makes */
function makeDirectories(root: NewRoot, path: string): string[] {
  const made: string[] = [];
  for (let end = path.indexOf('/', 1); end > 0; end = path.indexOf('/', end + 1)) {
    const above = path.slice(0, end);
    const { found, name } = root.locate(above);
    if (found.kind !== 'found' || kindOf(found.node) !== 'directory') break;
    if (root.child(found.node, name) !== undefined) continue;
    made.push(root.put(found.node, name, { path: above, facts: plainDirectory }).place);
  }
  return made;
}

/** As mkdir makes one. */
const plainDirectory: FileFacts = {
  kind: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  mtimeNs: 0n,
  device: { major: 0, minor: 0 },
  linkTarget: '',
  inode: '',
  names: 1,
};

function isThere(root: NewRoot, path: string): boolean {
  const { found, name } = root.locate(path);
  return found.kind === 'found' && root.child(found.node, name) !== undefined;
}

function isEmpty(root: NewRoot, node: RootNode): boolean {
  return root.names(node).length === 0;
}
