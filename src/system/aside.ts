import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import { syncDirectory } from './durable.ts';

const SUFFIX = '.imgboot-aside';

/**
 * A file written beside its final name. `publish` makes it durable and puts it in the old one's place; disposed
 * without that, it is gone and the old one is untouched. What a killed process left beside the name is swept first.
 */
export class AsideFile {
  readonly path: string;
  readonly #aside: string;
  #fd: number | undefined;
  #sizeBytes = 0;

  private constructor(path: string, aside: string, fd: number) {
    this.path = path;
    this.#aside = aside;
    this.#fd = fd;
  }

  /** @throws IMGBOOT_CANNOT_WRITE */
  static create(name: string, mode = 0o644): AsideFile {
    const path = finalPath(name);
    const directory = dirname(path);
    const aside = join(directory, `.${basename(path)}.${process.pid}${SUFFIX}`);
    try {
      sweep(directory, basename(path));
      return new AsideFile(path, aside, openSync(aside, 'wx', mode));
    } catch (cause) {
      throw cannotWrite(path, cause);
    }
  }

  /** Where it is until it is published: for programs that write it themselves. */
  get asidePath(): string {
    return this.#aside;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** @throws IMGBOOT_CANNOT_WRITE */
  write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd!, bytes, done, bytes.length - done);
    } catch (cause) {
      throw cannotWrite(this.path, cause);
    }
    this.#sizeBytes += bytes.length;
  }

  /** Durable, then visible under its name, at once and whole. @throws IMGBOOT_CANNOT_WRITE */
  publish(): void {
    try {
      fsyncSync(this.#fd!);
      renameSync(this.#aside, this.path);
      closeSync(this.#fd!);
      this.#fd = undefined;
      syncDirectory(dirname(this.path));
    } catch (cause) {
      throw cannotWrite(this.path, cause);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
    unlinkSync(this.#aside);
  }
}

/**
 * Where a file is to appear: behind a symbolic link, which stays. What is no file is never replaced: /dev/null would be
 * gone for everyone.
 */
function finalPath(name: string): string {
  const stat = lstatSync(name, { throwIfNoEntry: false });
  if (stat === undefined || stat.isFile()) return name;
  if (stat.isSymbolicLink() && statSync(name, { throwIfNoEntry: false })?.isFile()) return realpathSync(name);
  throw new ImgbootError('IMGBOOT_CANNOT_WRITE', `cannot write ${name}: it is there, and is no file`, {
    hint: 'give the name of a file',
  });
}

function sweep(directory: string, name: string): void {
  for (const found of readdirSync(directory)) {
    if (!found.startsWith(`.${name}.`) || !found.endsWith(SUFFIX)) continue;
    // One of several that a file is made of may have a word of its own before the number.
    const pid = Number(/^(?:[a-z]+\.)?([0-9]+)$/.exec(found.slice(name.length + 2, -SUFFIX.length))?.[1]);
    if (Number.isInteger(pid) && pid !== process.pid && !isRunning(pid)) unlinkSync(join(directory, found));
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

function cannotWrite(path: string, cause: unknown): ImgbootError {
  const hints: Record<string, string> = {
    ENOSPC: 'free some space there, or write it elsewhere',
    EDQUOT: 'free some space there, or write it elsewhere',
    ENOENT: `make the directory first: mkdir -p ${dirname(path)}`,
    EACCES: 'choose a directory that you may write to, or run it as root',
    EROFS: 'choose a directory on a file system that is mounted read-write',
    EISDIR: 'give the name of a file',
  };
  return new ImgbootError('IMGBOOT_CANNOT_WRITE', `cannot write ${path}: ${errorMessage(cause)}`, {
    cause,
    hint: hints[errnoOf(cause) ?? ''],
  });
}
