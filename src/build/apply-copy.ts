import { closeSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { LayerApplier } from '../layer/applier.ts';
import { enterRoot } from '../layer/enter-root.ts';
import type { TarEntry } from '../layer/tar-entry.ts';
import type { CopyItem } from './copy-plan.ts';

/**
 * Puts a plan's items into a root file system. A directory that is there stays as it is, also behind a symbolic link
 * (`/lib -> usr/lib`); a file is replaced. Chroots meanwhile: only in a process of its own.
 * @throws IMGBOOT_DOCKERFILE for a file in a directory's place, and the reverse
 */
export function applyCopy(root: string, items: readonly CopyItem[]): void {
  using _inside = enterRoot(root);
  const applier = new LayerApplier();
  for (const { entry, content } of items) {
    if (standsInTheWay(entry)) continue;
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

/** Makes a directory and those above it that are missing, root's and open to all, as WORKDIR does. */
export function makeDirectory(root: string, path: string): void {
  using _inside = enterRoot(root);
  mkdirSync(path, { recursive: true, mode: 0o755 });
}

/** Whether a directory is there already; anything else in the way is an error. */
function standsInTheWay(entry: TarEntry): boolean {
  const path = Buffer.from(entry.path, 'latin1');
  if (entry.type === 'directory') {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there === undefined || there.isDirectory()) return there !== undefined;
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
