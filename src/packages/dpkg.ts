import type { RootedTree } from '../system/rooted.ts';
import { readBytes, type DatabaseReader, type InstalledPackage, type PackageFiles } from './package.ts';

const ADMIN = '/var/lib/dpkg';

/** Debian's. Images without a package manager (distroless) keep a file a package in status.d. @see dpkg-query(1) */
export const dpkg: DatabaseReader = {
  packages: (tree) => statusOf(tree).map(({ installed }) => installed),
  *files(tree) {
    const placeFor = placesOf(readBytes(tree, `${ADMIN}/diversions`));
    for (const { installed, lists } of statusOf(tree)) {
      const paths = lists.map((list) => list(tree)).find((text) => text !== '');
      if (paths === undefined) continue;
      yield { package: installed, paths, ...placeFor(installed.name) };
    }
  },
};

interface Status {
  installed: InstalledPackage;
  /** Where its files may be listed; the first that is there is right. */
  lists: ((tree: RootedTree) => string)[];
}

function statusOf(tree: RootedTree): Status[] {
  const own = paragraphs(readBytes(tree, `${ADMIN}/status`))
    .filter(isThere)
    .map((fields) => {
      const installed = packageOf(fields);
      const { name, architecture } = installed;
      const lists = [`${name}.list`, `${name}:${architecture}.list`];
      return { installed, lists: lists.map((list) => (from: RootedTree) => readInfo(from, list)) };
    });
  const single = tree
    .list(`${ADMIN}/status.d`)
    .filter((file) => !file.endsWith('.md5sums'))
    .flatMap((file) =>
      paragraphs(readBytes(tree, `${ADMIN}/status.d/${file}`)).map((fields) => ({
        installed: packageOf(fields),
        lists: [(from: RootedTree) => summedFiles(readBytes(from, `${ADMIN}/status.d/${file}.md5sums`))],
      })),
    );
  return [...own, ...single];
}

/** A package's name is a part of the list's: one with a slash is none. */
function readInfo(tree: RootedTree, list: string): string {
  return list.includes('/') ? '' : readBytes(tree, `${ADMIN}/info/${list}`);
}

type Fields = ReadonlyMap<string, string>;

function paragraphs(text: string): Fields[] {
  return text
    .split(/\n\n+/)
    .map((paragraph) => {
      const fields = new Map<string, string>();
      // Continuation lines begin with a space, and none is of a field that is wanted.
      for (const match of paragraph.matchAll(/^(Package|Status|Version|Architecture):[ \t]*(.*)$/gm))
        fields.set(match[1]!, match[2]!.trimEnd());
      return fields;
    })
    .filter((fields) => fields.has('Package'));
}

function packageOf(fields: Fields): InstalledPackage {
  return {
    name: fields.get('Package')!,
    version: fields.get('Version') ?? '',
    architecture: fields.get('Architecture') ?? '',
    manager: 'dpkg',
  };
}

/** Not one of which only the configuration is left, nor one that was only asked for. */
function isThere(fields: Fields): boolean {
  const state = fields.get('Status')?.split(' ')[2];
  return state !== 'not-installed' && state !== 'config-files';
}

/** `<digest>  <path>` a line. */
function summedFiles(sums: string): string {
  return sums.replaceAll(/^[0-9a-f]+ [ *]/gm, '');
}

/**
 * Diversions: the file that a package brings for one path lies at another, unless it is of the package that pushed it
 * aside. Three lines each: the path, where it lies, who did it (`:` for the machine's owner). @see dpkg-divert(1)
 */
function placesOf(diversions: string): (name: string) => Pick<PackageFiles, 'placeOf'> {
  const lines = diversions.split('\n');
  const diverted = new Map<string, { to: string; by: string }>();
  for (let at = 0; at + 2 < lines.length; at += 3)
    diverted.set(lines[at]!, { to: lines[at + 1]!, by: lines[at + 2]! });
  if (diverted.size === 0) return () => ({});
  return (name) => ({
    placeOf: (path) => {
      const found = diverted.get(path);
      return found === undefined || found.by === name ? path : found.to;
    },
  });
}
