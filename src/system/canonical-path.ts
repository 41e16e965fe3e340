import { lstatSync, readlinkSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';

/** linux/namei.h: the kernel gives up after as many. */
const MAX_SYMLINKS = 40;

/**
 * Where a path leads inside `root`, symlinks read as a process that has `root` as its root directory reads them. The
 * rest of a path that does not exist is taken as it stands. The tree must not change meanwhile.
 * @returns an absolute path inside the root, without symlinks; `/` for the root
 * @throws IMGBOOT_SYMLINK_LOOP
 */
export function canonicalPath(root: string, path: string): string {
  const pending = path.split('/').toReversed();
  const walked: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const component = pending.pop()!;
    if (component === '' || component === '.') continue;
    if (component === '..') {
      walked.pop();
      continue;
    }
    const here = [root, ...walked, component].join('/');
    if (lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
      links += 1;
      if (links > MAX_SYMLINKS)
        throw new ImgbootError('IMGBOOT_SYMLINK_LOOP', `${path} leads through a loop of symbolic links`);
      const target = readlinkSync(here);
      if (target.startsWith('/')) walked.length = 0;
      pending.push(...target.split('/').toReversed());
    } else walked.push(component);
  }
  return `/${walked.join('/')}`;
}
