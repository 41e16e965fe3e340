import { REPLACE_ACCOUNTS } from './account-files.ts';
import type { FileFacts, FileTree } from './tree.ts';

/** Something in a top layer. */
export interface TopEntry {
  /** Below the top layer's directory: `/etc/x`, a byte string. */
  readonly path: string;
  readonly facts: FileFacts;
}

/**
 * What a top layer has, by the bytes of its names, as the boot's find and sort list it: without sockets, and without
 * the `lost+found` of a file system. @see hooks/lib/toplayer.sh
 */
export function scanTopLayer(tree: FileTree): { entries: TopEntry[]; sockets: string[] } {
  const entries: TopEntry[] = [];
  const sockets: string[] = [];
  const pending = [''];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const name of tree.names(directory)) {
      const path = `${directory}/${name}`;
      const facts = path === '/lost+found' ? undefined : tree.facts(path);
      if (facts === undefined) continue;
      if (facts.kind === 'socket') sockets.push(path);
      else entries.push({ path, facts });
      if (facts.kind === 'directory') pending.push(path);
    }
  }
  return { entries: entries.sort((a, b) => (a.path < b.path ? -1 : 1)), sockets: sockets.sort() };
}

/** What a name of a top layer says that is to be done. */
export type Meaning =
  | { kind: 'content' }
  /** Deletes `name` of the same directory. */
  | { kind: 'whiteout'; name: string }
  /** Empties the directory that it is in. */
  | { kind: 'opaque' }
  /** Stops the boot. */
  | { kind: 'refused'; why: string }
  /** Asks for account files that replace the image's. */
  | { kind: 'marker' }
  /** Is not copied. */
  | { kind: 'left-out' };

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

export function meaningOf({ path, facts }: TopEntry): Meaning {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (facts.kind !== 'directory') {
    if (name === OPAQUE)
      return path === `/${OPAQUE}`
        ? { kind: 'refused', why: 'it would delete the whole image' }
        : { kind: 'opaque' };
    if (/^\.wh\.\.{0,2}$/.test(name)) return { kind: 'refused', why: 'it names nothing' };
    if (name.startsWith(WHITEOUT)) return { kind: 'whiteout', name: name.slice(WHITEOUT.length) };
  }
  if (path === `/${REPLACE_ACCOUNTS}` || path.startsWith(`/${REPLACE_ACCOUNTS}/`)) return { kind: 'marker' };
  return isLeftOut(path) ? { kind: 'left-out' } : { kind: 'content' };
}

/** Whether tar leaves a path out: each that has a part that begins with `.wh.`, and the marker. */
function isLeftOut(path: string): boolean {
  return path.includes(`/${WHITEOUT}`);
}
