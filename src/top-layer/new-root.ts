import type { TopEntry } from './scan.ts';
import type { FileFacts, FileKind, FileTree } from './tree.ts';

/** include/linux/namei.h: MAXSYMLINKS */
const MAXSYMLINKS = 40;

/** Something in a new root: of the image, of the top layer, or a directory of both. */
export interface RootNode {
  /** Where it is, without symbolic links: `/usr/lib/x`; empty for the root. */
  readonly place: string;
  readonly parent: RootNode | undefined;
  /** As the image has it at the same place; undefined for what the image does not have there any more. */
  readonly image: FileFacts | undefined;
  /** What it has got of the top layer. */
  entry: TopEntry | undefined;
  /** A file's new content, where accounts were merged. */
  merged: string | undefined;
  /** What is known of its names; null for what is gone. */
  readonly children: Map<string, RootNode | null>;
}

/** What a path leads to, or why it leads nowhere. */
export type Found =
  | { kind: 'found'; node: RootNode }
  /** `place` is where the first part is that is not there. */
  | { kind: 'missing'; place: string }
  | { kind: 'failed'; errno: 'ENOTDIR' | 'ELOOP' };

/**
 * A root file system as the boot changes it, in memory: what nobody has changed is looked up in the image when it is
 * asked for, and nothing else of the image is read. Every path is resolved inside the root, as chroot(2) would.
 */
export class NewRoot {
  readonly top: RootNode;
  readonly #image: FileTree;

  constructor(image: FileTree) {
    this.#image = image;
    const facts = image.facts('');
    this.top = {
      place: '',
      parent: undefined,
      image: facts,
      entry: undefined,
      merged: undefined,
      children: new Map(),
    };
  }

  /** What a path names, all symbolic links followed. */
  resolve(path: string): Found {
    let at = this.top;
    const rest = path.split('/').toReversed();
    for (let links = 0; rest.length > 0;) {
      const name = rest.pop()!;
      if (name === '' || name === '.') continue;
      if (kindOf(at) !== 'directory') return { kind: 'failed', errno: 'ENOTDIR' };
      if (name === '..') {
        at = at.parent ?? at;
        continue;
      }
      const child = this.child(at, name);
      if (child === undefined) return { kind: 'missing', place: `${at.place}/${name}` };
      if (kindOf(child) !== 'symlink') {
        at = child;
        continue;
      }
      links += 1;
      if (links > MAXSYMLINKS) return { kind: 'failed', errno: 'ELOOP' };
      const target = factsOf(child).linkTarget;
      if (target.startsWith('/')) at = this.top;
      rest.push(...target.split('/').toReversed());
    }
    return { kind: 'found', node: at };
  }

  /** The directory that a path's last part is in, and that part; symbolic links of the directories are followed. */
  locate(path: string): { found: Found; name: string } {
    const cut = path.lastIndexOf('/');
    return { found: this.resolve(path.slice(0, cut)), name: path.slice(cut + 1) };
  }

  child(directory: RootNode, name: string): RootNode | undefined {
    const known = directory.children.get(name);
    if (known !== undefined) return known ?? undefined;
    if (directory.image?.kind !== 'directory') return undefined;
    const place = `${directory.place}/${name}`;
    const image = this.#image.facts(place);
    const node =
      image === undefined
        ? null
        : { place, parent: directory, image, entry: undefined, merged: undefined, children: new Map() };
    directory.children.set(name, node);
    return node ?? undefined;
  }

  /** What is at a place, which no symbolic link is a part of. */
  at(place: string): RootNode | undefined {
    let node: RootNode | undefined = this.top;
    for (const name of place.split('/').slice(1)) {
      if (node === undefined || kindOf(node) !== 'directory') return undefined;
      node = this.child(node, name);
    }
    return node;
  }

  /** The names in a directory. */
  names(directory: RootNode): string[] {
    const own = directory.image?.kind === 'directory' ? this.#image.names(directory.place) : [];
    const names = new Set([...own, ...directory.children.keys()]);
    return [...names].filter((name) => directory.children.get(name) !== null).sort();
  }

  remove({ parent, place }: RootNode): void {
    parent!.children.set(place.slice(place.lastIndexOf('/') + 1), null);
  }

  /** Puts something of the top layer in the place of whatever is there. */
  put(directory: RootNode, name: string, entry: TopEntry): RootNode {
    const place = `${directory.place}/${name}`;
    const node = {
      place,
      parent: directory,
      image: undefined,
      entry,
      merged: undefined,
      children: new Map(),
    };
    directory.children.set(name, node);
    return node;
  }
}

/** What a node is now. */
export function factsOf(node: RootNode): FileFacts {
  return node.entry?.facts ?? node.image!;
}

export function kindOf(node: RootNode): FileKind {
  return factsOf(node).kind;
}
