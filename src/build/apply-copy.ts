import { chownSync, closeSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { LayerApplier } from '../layer/applier.ts';
import { enterRoot } from '../layer/enter-root.ts';
import type { TarEntry } from '../layer/tar-entry.ts';
import type { CopyItem } from './copy-plan.ts';

/**
 * Puts a plan's items into a root file system. A directory that is there stays, also behind a symbolic link
 * (`/lib -> usr/lib`); a file is replaced. Chroots meanwhile: only in a process of its own.
 * @param owner of directories above the items that have to be made
 * @throws IMGBOOT_DOCKERFILE for a file in a directory's place, and the reverse
 */
export function applyCopy(root: string, items: readonly CopyItem[], owner = ROOT): void {
  using _inside = enterRoot(root);
  const applier = new LayerApplier();
  const parents = new MissingParents(owner);
  for (const { entry, content } of items) {
    if (standsInTheWay(entry)) continue;
    parents.make(entry.path);
    applier.entry(entry);
    if (content?.kind === 'bytes') applier.data(content.bytes, 0);
    else if (content !== undefined) {
      const fd = content.source.open(content.file);
      try {
        applier.content(fd);
      } finally {
        closeSync(fd);
      }
    }
    applier.endEntry();
  }
  applier.finish();
}

/** Makes a directory and those above it that are missing, as WORKDIR does. */
export function makeDirectory(root: string, path: string, owner: Owner): void {
  using _inside = enterRoot(root);
  new MissingParents(owner).make(`${path}/.`);
}

export interface Owner {
  uid: number;
  gid: number;
}

const ROOT: Owner = { uid: 0, gid: 0 };

/** Makes the directories above a path that are not there, open to all; only within {@link enterRoot}. */
export class MissingParents {
  readonly #owner: Owner;
  readonly #there = new Set<string>(['']);

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** @param path a byte string */
  make(path: string): void {
    const parent = path.replace(/\/+$/, '').replace(/\/?[^/]*$/, '');
    if (this.#there.has(parent)) return;
    this.#there.add(parent);
    const bytes = Buffer.from(parent, 'latin1');
    if (statSync(bytes, { throwIfNoEntry: false }) !== undefined) return;
    this.make(parent);
    mkdirSync(bytes, { mode: 0o755 });
    chownSync(bytes, this.#owner.uid, this.#owner.gid);
  }
}

/** Whether what is there stays as it is: a symlink to a directory does. What cannot be replaced is an error. */
function standsInTheWay(entry: TarEntry): boolean {
  const path = Buffer.from(entry.path, 'latin1');
  if (entry.type === 'directory') {
    const there = statSync(path, { throwIfNoEntry: false });
    // A directory takes over the mode and owner; one behind a link is somebody else's.
    if (there === undefined) return false;
    if (there.isDirectory()) return lstatSync(path).isSymbolicLink();
    throw new ImgbootError(
      'IMGBOOT_DOCKERFILE',
      `a directory cannot be copied to ${entry.path}, which is a file`,
    );
  }
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new ImgbootError(
      'IMGBOOT_DOCKERFILE',
      `a file cannot be copied to ${entry.path}, which is a directory`,
    );
  }
  return false;
}
