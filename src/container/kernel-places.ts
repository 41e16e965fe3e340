import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';

/** Where the kernel's own file systems are mounted. */
const places = ['/proc', '/dev', '/sys'] as const;

/**
 * Refuses a root file system that has something else than a directory where the kernel's file systems belong. A runtime
 * makes links in /dev before the root is the container's own, and would follow a link of the image to the host's
 * directories (runc 1.1).
 * @throws IMGBOOT_HOSTILE_ROOT
 */
export function requireKernelPlaces(root: string): void {
  for (const place of places) {
    const found = lstatSync(join(root, place), { throwIfNoEntry: false });
    if (found === undefined || found.isDirectory()) continue;
    throw new ImgbootError(
      'IMGBOOT_HOSTILE_ROOT',
      `the image's ${place} is ${found.isSymbolicLink() ? 'a symbolic link' : 'no directory'}: nothing can run on it`,
      { hint: `make ${place} an empty directory in the image` },
    );
  }
}
