import { closeSync, openSync } from 'node:fs';
import { changeDirectoryTo, changeRoot } from '../system/libc.ts';

/**
 * chroot(2) of the whole process until disposed; the way back is a descriptor of the root before. Only in a process of
 * its own, and with everything loaded that will be needed inside.
 */
export function enterRoot(root: string): Disposable {
  const outside = openSync('/', 'r');
  changeRoot(root);
  process.chdir('/');
  return {
    [Symbol.dispose]() {
      changeDirectoryTo(outside);
      changeRoot('.');
      closeSync(outside);
    },
  };
}
