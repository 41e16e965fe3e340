import { closeSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { LayerApplier } from '../layer/applier.ts';
import { detectCompression } from '../layer/decompress.ts';
import { enterRoot } from '../layer/enter-root.ts';
import { splitPath } from '../layer/path.ts';
import { isTarHeader, TarReader } from '../layer/tar-reader.ts';
import type { TarEntry, TarHandler } from '../layer/tar-entry.ts';
import { runCommand } from '../system/exec.ts';
import { MissingParents } from './apply-copy.ts';
import type { CopyTarget } from './copy-plan.ts';
import type { FileSource, SourceFile } from './file-source.ts';

const READ_BYTES = 1 << 20;

/**
 * The plain tar that a file is, for ADD to unpack: the file itself, or what it decompresses to, in `scratch`.
 * Undefined for a file that is no archive; a compressed file that is none is copied as it is, too.
 */
export async function openArchive(
  source: FileSource,
  file: SourceFile,
  scratch: string,
): Promise<string | undefined> {
  if (file.type !== 'file') return undefined;
  const path = join(source.root, file.path);
  const fd = source.open(file);
  let start: Buffer;
  try {
    start = firstBlock(fd);
  } finally {
    closeSync(fd);
  }
  if (isTarHeader(start)) return path;
  const compression = detectCompression(start);
  if (compression === 'none') return undefined;
  const plain = join(scratch, `archive-${file.stats.ino}.tar`);
  try {
    await runCommand(compression, ['--decompress', '--stdout', '--', path], { outputTo: { file: plain } });
  } catch {
    // Cut off or damaged: then it is a file like any other, as docker takes it.
    return undefined;
  }
  const plainFd = openSync(plain, 'r');
  try {
    return isTarHeader(firstBlock(plainFd)) ? plain : undefined;
  } finally {
    closeSync(plainFd);
  }
}

/** Unpacks a plain tar below a destination. Chroots meanwhile: only in a process of its own. */
export function unpackArchive(root: string, { tar, target }: { tar: string; target: CopyTarget }): void {
  const fd = openSync(tar, 'r');
  try {
    using _inside = enterRoot(root);
    const applier = new LayerApplier();
    const reader = new TarReader(new Below(applier, target));
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer))
      reader.write(buffer.subarray(0, size));
    reader.finish();
    applier.finish();
  } finally {
    closeSync(fd);
  }
}

/** Hands a tar's entries on as they are below a directory. */
class Below implements TarHandler {
  readonly #applier: LayerApplier;
  readonly #target: CopyTarget;
  readonly #parents: MissingParents;
  #skips = false;

  constructor(applier: LayerApplier, target: CopyTarget) {
    this.#applier = applier;
    this.#target = target;
    this.#parents = new MissingParents(target.owner ?? { uid: 0, gid: 0 });
  }

  entry(entry: TarEntry): void {
    const path = this.#below(entry.path);
    this.#skips = (entry.type === 'directory' && isDirectoryBehindLink(path)) || path === this.#below('');
    if (this.#skips) return;
    const { owner, chmod } = this.#target;
    this.#parents.make(path);
    this.#applier.entry({
      ...entry,
      path,
      linkTarget: entry.type === 'hardlink' ? this.#below(entry.linkTarget) : entry.linkTarget,
      ...owner,
      mode:
        chmod === undefined || entry.type === 'symlink'
          ? entry.mode
          : chmod(entry.mode, entry.type === 'directory'),
    });
  }

  data(chunk: Buffer, offset: number): void {
    if (!this.#skips) this.#applier.data(chunk, offset);
  }

  endEntry(): void {
    if (!this.#skips) this.#applier.endEntry();
  }

  #below(path: string): string {
    const { parent, name } = splitPath(path);
    if (name.startsWith('.wh.')) {
      throw new ImgbootError(
        'IMGBOOT_BAD_TAR',
        `the archive has ${JSON.stringify(path)}: in a layer, a name that begins with .wh. deletes a file`,
      );
    }
    return [this.#target.destination.replace(/\/+$/, ''), parent, name]
      .filter((part, index) => index === 0 || part !== '')
      .join('/');
  }
}

function isDirectoryBehindLink(path: string): boolean {
  const bytes = Buffer.from(path, 'latin1');
  return (
    lstatSync(bytes, { throwIfNoEntry: false })?.isSymbolicLink() === true &&
    statSync(bytes, { throwIfNoEntry: false })?.isDirectory() === true
  );
}

function firstBlock(fd: number): Buffer {
  const block = Buffer.alloc(512);
  return block.subarray(0, readSync(fd, block, 0, block.length, 0));
}
