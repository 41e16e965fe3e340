import type { RootedTree } from '../system/rooted.ts';
import { readBytes, type DatabaseReader, type InstalledPackage, type PackageFiles } from './package.ts';

/** Where apk keeps it, by version. Both may be one directory. */
const DATABASES = ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'];

/** Alpine's. A paragraph a package: `P:` name, `V:` version, `A:` architecture; `F:` a directory, `R:` a file in it. */
export const apk: DatabaseReader = {
  packages: (tree) => recordsOf(tree).map(packageOf),
  *files(tree) {
    for (const record of recordsOf(tree)) yield filesOf(record);
  },
};

function recordsOf(tree: RootedTree): string[] {
  const found = DATABASES.map((path) => tree.resolveFile(path)?.path).find((path) => path !== undefined);
  if (found === undefined) return [];
  return readBytes(tree, found)
    .split('\n\n')
    .filter((record) => /^P:/m.test(record));
}

function packageOf(record: string): InstalledPackage {
  const field = (key: string): string => new RegExp(`^${key}:(.*)$`, 'm').exec(record)?.[1] ?? '';
  return { name: field('P'), version: field('V'), architecture: field('A'), manager: 'apk' };
}

function filesOf(record: string): PackageFiles {
  let directory = '';
  const paths: string[] = [];
  for (const line of record.split('\n')) {
    const value = line.slice(2);
    if (line.startsWith('F:')) {
      directory = value;
      if (value !== '') paths.push(value);
    } else if (line.startsWith('R:')) paths.push(directory === '' ? value : `${directory}/${value}`);
  }
  return { package: packageOf(record), paths: paths.join('\n') };
}
