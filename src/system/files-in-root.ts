import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { loadKoffi } from './koffi.ts';

/** linux/openat2.h; asm-generic/unistd.h */
const SYS_OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;
const O_CLOEXEC = 0o2000000;

type Openat2 = (
  number: number,
  directory: number,
  path: Buffer,
  how: BigUint64Array,
  size: number,
) => number | bigint;

let bound: Openat2 | undefined;

/**
 * The files below a directory that others may change at any time: the kernel resolves each path in it, as for a process
 * that has it as its root, so that no link leads out. Dispose it. @see openat2(2), RESOLVE_IN_ROOT
 */
export class FilesInRoot implements Disposable {
  #root: number;

  private constructor(root: number) {
    this.#root = root;
  }

  static open(root: string): FilesInRoot {
    return new FilesInRoot(openSync(root, constants.O_RDONLY | constants.O_DIRECTORY));
  }

  /** The content of a regular file, links followed; undefined where there is none. */
  readFile(path: string): Buffer | undefined {
    bound ??= loadKoffi()
      .load('libc.so.6')
      .func('long syscall(long number, int directory, void *path, void *how, size_t size)') as Openat2;
    // Not stuck in a fifo.
    const flags = BigInt(constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC);
    const how = new BigUint64Array([flags, 0n, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS]);
    const fd = Number(bound(SYS_OPENAT2, this.#root, Buffer.from(`${path}\0`), how, how.byteLength));
    if (fd < 0) {
      const errno = loadKoffi().errno();
      const { ENOENT, ENOTDIR, ELOOP } = osConstants.errno;
      if ([ENOENT, ENOTDIR, ELOOP].includes(errno)) return undefined;
      throw new Error(`openat2 ${path}: errno ${errno}`);
    }
    try {
      // A device may have no end.
      return fstatSync(fd).isFile() ? readFileSync(fd) : undefined;
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#root >= 0) closeSync(this.#root);
    this.#root = -1;
  }
}
