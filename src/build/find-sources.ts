import { posix } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { globBase, isGlob, matchGlob } from './dockerfile/glob.ts';
import type { CopySource } from './copy-plan.ts';
import type { FileSource } from './file-source.ts';

/**
 * The files that the sources of a COPY name, in the order of the sources, each pattern's in byte order.
 * @param where what the sources are in, for messages: "the build context"
 * @throws IMGBOOT_DOCKERFILE for one that names nothing, or that climbs out
 */
export function findSources(
  source: FileSource,
  patterns: readonly string[],
  { where, parents }: { where: string; parents: boolean },
): CopySource[] {
  return patterns.flatMap((written) => {
    const path = insidePath(written, where);
    const found = isGlob(path)
      ? matching(source, path, { parents })
      : [source.find(path)].filter((file) => file !== undefined);
    if (found.length > 0)
      return found.map((file) => ({ source, file, written: isGlob(path) ? file.path : written }));
    throw new ImgbootError('IMGBOOT_DOCKERFILE', `${written} is not in ${where}`, {
      hint: `check the path, which is from the root of ${where}, and .dockerignore`,
    });
  });
}

function matching(
  source: FileSource,
  pattern: string,
  { parents }: { parents: boolean },
): NonNullable<ReturnType<FileSource['find']>>[] {
  const base = source.find(globBase(pattern));
  if (base?.type !== 'directory') return [];
  const depth = pattern.split('/').length;
  const matched = source
    .walk(base.path)
    .filter(
      (file) =>
        (parents || file.path.split('/').length === depth) &&
        matchGlob(pattern, file.path, { doubleStar: parents }),
    );
  // A symlink that is named stands for what it leads to.
  return matched.flatMap((file) => (file.type === 'symlink' ? (source.find(file.path) ?? []) : file));
}

/** A source as a path from the tree's root; the pivot of --parents stays. */
function insidePath(written: string, where: string): string {
  const clean = posix.normalize(written.replace(/^\/+/, '') || '.');
  if (clean === '..' || clean.startsWith('../')) {
    throw new ImgbootError('IMGBOOT_DOCKERFILE', `${written} climbs out of ${where}`, {
      hint: 'copy the file into the context, or choose a higher directory as the context and name the Dockerfile with -f',
    });
  }
  return clean === '.' ? '' : clean.replace(/\/$/, '');
}
