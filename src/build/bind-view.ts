import { chmodSync, chownSync, copyFileSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountOverlay } from '../store/overlay-mount.ts';
import {
  MNT_DETACH,
  MS_BIND,
  MS_REC,
  makeNode,
  modifiedAt,
  mount,
  setTimes,
  unmount,
} from '../system/libc.ts';
import type { FileSource, SourceFile } from './file-source.ts';

/** linux/stat.h */
const S_IFCHR = 0o020000;

/**
 * What a `--mount=type=bind` shows of a source. Where the ignore file hides something, or the step may write, it is an
 * overlay: what is hidden is whited out, and what is written is thrown away. Mounts, until disposed.
 */
export class BindView implements Disposable {
  readonly path: string;
  readonly #mounts: string[] = [];

  constructor(
    source: FileSource,
    { file, writable, scratch }: { file: SourceFile; writable: boolean; scratch: string },
  ) {
    const original = join(source.root, file.path);
    const hidden = file.type === 'directory' ? source.hidden(file.path) : [];
    if (!writable && hidden.length === 0) {
      this.path = original;
      return;
    }
    mkdirSync(scratch, { recursive: true });
    if (file.type !== 'directory') {
      this.path = join(scratch, 'file');
      copyFileSync(original, this.path);
      copyAttributes(original, this.path);
      return;
    }
    const at = (name: string): string => {
      mkdirSync(join(scratch, name));
      return join(scratch, name);
    };
    // A name of our own: overlayfs would take a colon or comma of the context's path for its own.
    const lower = at('lower');
    mount({ source: original, target: lower, flags: MS_BIND | MS_REC });
    this.#mounts.push(lower);
    this.path = at('merged');
    const mask = at('mask');
    hide(mask, { original, below: file.path, hidden });
    const top = writable ? { writable: { upper: at('upper'), work: at('work') } } : {};
    if (writable) copyAttributes(original, join(scratch, 'upper'));
    mountOverlay(scratch, { target: this.path, lower: [mask, lower], ...top });
    this.#mounts.push(this.path);
  }

  [Symbol.dispose](): void {
    for (const target of this.#mounts.splice(0).toReversed()) unmount(target, MNT_DETACH);
  }
}

/** Makes a lower directory that deletes some paths of the one below it. */
function hide(
  mask: string,
  { original, below, hidden }: { original: string; below: string; hidden: readonly string[] },
): void {
  copyAttributes(original, mask);
  const made = new Set<string>();
  for (const path of hidden) {
    const components = path
      .slice(below === '' ? 0 : below.length + 1)
      .split('/')
      .slice(0, -1);
    for (let depth = 1; depth <= components.length; depth += 1) {
      const directory = components.slice(0, depth).join('/');
      if (made.has(directory)) continue;
      made.add(directory);
      mkdirSync(latin1(mask, directory));
    }
    makeNode(latin1(mask, path.slice(below === '' ? 0 : below.length + 1)), S_IFCHR, { major: 0, minor: 0 });
  }
  // The uppermost directory's attributes are the merged one's; deepest first, because of the times.
  for (const directory of [...made].toReversed())
    copyAttributes(latin1(original, directory), latin1(mask, directory));
  copyAttributes(original, mask);
}

function copyAttributes(from: string | Buffer, to: string | Buffer): void {
  const stats = lstatSync(from, { bigint: true });
  chownSync(to, Number(stats.uid), Number(stats.gid));
  chmodSync(to, Number(stats.mode & 0o7777n));
  setTimes(to, modifiedAt(stats));
}

function latin1(directory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')]);
}
