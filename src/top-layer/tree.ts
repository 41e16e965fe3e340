import { closeSync, fstatSync, lstatSync, openSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import { entryTypeOf, metadataEntry, withoutIgnored } from '../layer/changes.ts';
import type { EntryType } from '../layer/tar-entry.ts';
import { openBeneath, readXattrs } from '../system/libc.ts';
import { showName } from './show.ts';

export type FileKind = Exclude<EntryType, 'hardlink'> | 'socket';

/** What can be known of a file without opening it. Names are byte strings (latin1). */
export interface FileFacts {
  readonly kind: FileKind;
  /** Permission, setuid, setgid and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a regular file; 0 for others. */
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** Of a character or block device. */
  readonly device: { readonly major: number; readonly minor: number };
  /** Of a symbolic link, as it is written. */
  readonly linkTarget: string;
  /** The same for all names of a file. */
  readonly inode: string;
  readonly names: number;
}

/** What is read whole into memory: account files, texts. None is as large. */
const MAX_READ_BYTES = 64 * 2 ** 20;

/**
 * The files below a directory, by paths such as `/etc/x` without symbolic links in them; empty for the directory
 * itself. Content is opened through no symbolic link at all, whoever changes the tree meanwhile.
 */
export class FileTree implements Disposable {
  readonly root: string;
  #fd: number | undefined;

  constructor(root: string) {
    this.root = root;
  }

  /** Undefined where there is nothing. */
  facts(path: string): FileFacts | undefined {
    return this.#attempt(path, () => {
      const stats = lstatSync(this.#at(path), { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) return undefined;
      const kind = entryTypeOf(stats) ?? 'socket';
      const { mode, uid, gid, device } = metadataEntry('', stats, undefined);
      return {
        kind: kind as FileKind,
        mode,
        uid,
        gid,
        sizeBytes: stats.isFile() ? Number(stats.size) : 0,
        mtimeNs: stats.mtimeNs,
        device,
        linkTarget: stats.isSymbolicLink() ? readlinkSync(this.#at(path), 'latin1') : '',
        inode: `${stats.dev}:${stats.ino}`,
        names: Number(stats.nlink),
      };
    });
  }

  /** The names in a directory, in byte order. */
  names(path: string): string[] {
    return this.#attempt(path, () => readdirSync(this.#at(path), 'latin1').sort());
  }

  /** The extended attributes that are the file's own, not those of what keeps it. */
  xattrs(path: string): ReadonlyMap<string, Buffer> {
    return withoutIgnored(this.allXattrs(path));
  }

  allXattrs(path: string): ReadonlyMap<string, Buffer> {
    return this.#attempt(path, () => readXattrs(this.#at(path)));
  }

  /** A regular file for reading; the caller closes it. */
  open(path: string): number {
    return this.#attempt(path, () => {
      this.#fd ??= openSync(this.root, 'r');
      const fd = openBeneath(this.#fd, Buffer.from(path.replace(/^\//, ''), 'latin1'));
      if (fstatSync(fd).isFile()) return fd;
      closeSync(fd);
      throw new Error('it is no regular file any more');
    });
  }

  /** The whole content of a regular file, as a byte string. */
  read(path: string): string {
    const fd = this.open(path);
    try {
      const { size } = fstatSync(fd);
      if (size > MAX_READ_BYTES)
        throw new ImgbootError('IMGBOOT_FILE_TOO_LARGE', `${showName(path)} has ${size} bytes`, {
          hint: 'it cannot be what it should be; put it right',
        });
      return readFileSync(fd, 'latin1');
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(this.root), Buffer.from(path === '' ? '/' : path, 'latin1')]);
  }

  #attempt<Result>(path: string, action: () => Result): Result {
    try {
      return action();
    } catch (cause) {
      throw new ImgbootError(
        'IMGBOOT_CANNOT_READ',
        `cannot read ${showName(path)} in ${this.root}: ${errorMessage(cause)}`,
        {
          cause,
          hint: errnoOf(cause) === 'EACCES' ? 'run it as root' : 'somebody may be changing it: try again',
        },
      );
    }
  }
}
