import { closeSync, openSync } from 'node:fs';
import { changeDirectoryTo, changeRoot } from '../system/libc.ts';

/**
 * chroot(2) of the whole process, with umask 0, until disposed; the way back is by descriptors. Only in a process of
 * its own, and with everything loaded that will be needed inside.
 */
export function enterRoot(root: string): Disposable {
  const outside = openSync('/', 'r');
  const here = openSync('.', 'r');
  const umask = process.umask(0);
  changeRoot(root);
  process.chdir('/');
  return {
    [Symbol.dispose]() {
      changeDirectoryTo(outside);
      changeRoot('.');
      changeDirectoryTo(here);
      process.umask(umask);
      closeSync(outside);
      closeSync(here);
    },
  };
}
