import { constants } from 'node:os';
import { SyscallError } from '../errors.ts';
import { loadKoffi } from './koffi.ts';

/** unistd.h */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Bytes of a file, from `start` up to `end`. */
export interface Extent {
  start: number;
  end: number;
}

type Lseek = (fd: number, offset: number, whence: number) => number | bigint;
let bound: Lseek | undefined;

/** The parts of a file that are no holes, in order. @throws SyscallError @see lseek(2) */
export function* dataExtents(fd: number, sizeBytes: number): Generator<Extent> {
  for (let end = 0; ;) {
    const start = seek(fd, end, SEEK_DATA);
    if (start === undefined || start >= sizeBytes) return;
    end = seek(fd, start, SEEK_HOLE) ?? sizeBytes;
    yield { start, end };
  }
}

/** Undefined behind the last of what is looked for. */
function seek(fd: number, offset: number, whence: number): number | undefined {
  bound ??= loadKoffi().load('libc.so.6').func('long lseek(int fd, long offset, int whence)') as Lseek;
  const found = Number(bound(fd, offset, whence));
  if (found >= 0) return found;
  const errno = loadKoffi().errno();
  if (errno === constants.errno.ENXIO) return undefined;
  throw new SyscallError({
    syscall: 'lseek',
    errno: `errno ${errno}`,
    reason: 'cannot find the data of a file',
  });
}
