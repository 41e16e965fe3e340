import { createHash } from 'node:crypto';
import { ImgbootError } from '../errors.ts';
import type { Digest } from '../image/digest.ts';
import type { TarEntry } from '../layer/tar-entry.ts';
import type { FileSource, SourceFile } from './file-source.ts';

/** One thing that a COPY puts into the image. */
export interface CopyItem {
  entry: TarEntry;
  /** Where a regular file's content comes from. */
  content:
    { kind: 'file'; source: FileSource; file: SourceFile } | { kind: 'bytes'; bytes: Buffer } | undefined;
}

export interface CopyTarget {
  /** In the image, absolute; a slash at its end makes it a directory. */
  destination: string;
  /** Whether it is a directory in the image already. */
  isDirectory: boolean;
  owner: { uid: number; gid: number } | undefined;
  /** Octal, or symbolic as chmod(1) has it. */
  chmod: ((mode: number, isDirectory: boolean) => number) | undefined;
  /** Keep the sources' own directories below the destination. */
  parents: boolean;
  /** Whether --exclude leaves out something below a source. */
  excluded: (path: string, source: SourceFile) => boolean;
}

/** Sources of a COPY, found in their tree. */
export interface CopySource {
  source: FileSource;
  file: SourceFile;
  /** The path as the Dockerfile has it, for `--parents`. */
  written: string;
}

/** What copying sources to a target puts where. @see Dockerfile reference, COPY */
export function planCopy(
  sources: readonly CopySource[],
  target: CopyTarget,
  several = sources.length > 1,
): CopyItem[] {
  const items = sources.flatMap((one) =>
    target.parents ? withParents(one, target) : plain(one, { target, several }),
  );
  for (const { entry } of items) {
    if (target.owner !== undefined) Object.assign(entry, target.owner);
    if (target.chmod !== undefined && entry.type !== 'symlink')
      entry.mode = target.chmod(entry.mode, entry.type === 'directory');
  }
  return items;
}

/**
 * Names what a COPY would read: names, types, modes, links and contents, and owners where they are kept; not times.
 * Wherever it goes: the cache is asked before anything is mounted.
 */
export function digestSources(
  sources: readonly CopySource[],
  excluded: (path: string, source: SourceFile) => boolean,
): Digest {
  const hash = createHash('sha256');
  for (const { source, file, written } of sources) {
    hash.update(`${JSON.stringify(written)}\n`);
    const below = file.type === 'directory' ? source.walk(file.path) : [];
    for (const one of [file, ...below.filter(({ path }) => !excluded(path, file))]) {
      const { uid, gid, mode, linkTarget, xattrs } = source.entry(one, '');
      const attributes = [...xattrs].map(([name, value]) => [name, value.toString('hex')]);
      const content = one.type === 'file' ? source.contentDigest(one) : '';
      hash.update(
        `${JSON.stringify([one.path.slice(file.path.length), one.type, mode, uid, gid, linkTarget, attributes, content])}\n`,
      );
    }
  }
  return `sha256:${hash.digest('hex')}` as Digest;
}

function plain(
  { source, file }: CopySource,
  { target, several }: { target: CopyTarget; several: boolean },
): CopyItem[] {
  const intoDirectory = target.destination.endsWith('/') || target.isDirectory;
  if (file.type === 'directory') {
    const below = prefix(target.destination);
    const made = target.isDirectory ? [] : [item(source, file, below === '' ? '/' : below)];
    return [...made, ...children(source, file, { base: file.path, below, excluded: target.excluded })];
  }
  if (several && !intoDirectory) {
    throw new ImgbootError(
      'IMGBOOT_DOCKERFILE',
      `several files cannot be copied to ${target.destination}, which is no directory`,
      { hint: 'put a slash at the end of the destination' },
    );
  }
  const name = file.path.slice(file.path.lastIndexOf('/') + 1);
  if (target.excluded(file.path, file)) return [];
  return [item(source, file, intoDirectory ? `${prefix(target.destination)}/${name}` : target.destination)];
}

/** `--parents`: the path from the root, or from `/./`, is kept below the destination. */
function withParents({ source, file, written }: CopySource, target: CopyTarget): CopyItem[] {
  const pivot = written.indexOf('/./');
  const base = pivot < 0 ? '' : written.slice(0, pivot).replace(/^\/+/, '');
  const kept = base === '' ? file.path : file.path.slice(base.length + 1);
  const below = prefix(target.destination);
  const items: CopyItem[] = [];
  const components = kept.split('/');
  for (let depth = 1; depth < components.length; depth += 1) {
    const path = components.slice(0, depth).join('/');
    const parent = source.find(base === '' ? path : `${base}/${path}`);
    if (parent !== undefined) items.push(item(source, parent, `${below}/${path}`));
  }
  items.push(item(source, file, `${below}/${kept}`));
  if (file.type === 'directory')
    items.push(...children(source, file, { base, below, excluded: target.excluded }));
  return items;
}

function children(
  source: FileSource,
  directory: SourceFile,
  place: { base: string; below: string; excluded: CopyTarget['excluded'] },
): CopyItem[] {
  return source
    .walk(directory.path)
    .filter((file) => !place.excluded(file.path, directory))
    .map((file) =>
      item(
        source,
        file,
        `${place.below}/${place.base === '' ? file.path : file.path.slice(place.base.length + 1)}`,
      ),
    );
}

function item(source: FileSource, file: SourceFile, path: string): CopyItem {
  if (file.type === 'other') {
    throw new ImgbootError(
      'IMGBOOT_DOCKERFILE',
      `${file.path} is neither a file, a directory nor a symbolic link, and cannot be copied`,
      { hint: 'leave it out with .dockerignore' },
    );
  }
  return {
    entry: source.entry(file, path),
    content: file.type === 'file' ? { kind: 'file', source, file } : undefined,
  };
}

/** A destination as the start of a path below it: no slash at its end, empty for the root. */
function prefix(destination: string): string {
  return destination.replace(/\/+$/, '');
}
