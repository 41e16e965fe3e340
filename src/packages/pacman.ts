import type { RootedTree } from '../system/rooted.ts';
import { readBytes, type DatabaseReader, type InstalledPackage } from './package.ts';

const DATABASE = '/var/lib/pacman/local';

/** Arch's. A directory a package; files of sections, `%NAME%` and its lines up to an empty one. */
export const pacman: DatabaseReader = {
  packages: (tree) => directoriesOf(tree).flatMap((directory) => packageOf(tree, directory) ?? []),
  *files(tree) {
    for (const directory of directoriesOf(tree)) {
      const installed = packageOf(tree, directory);
      if (installed === undefined) continue;
      yield {
        package: installed,
        paths: section(readBytes(tree, `${DATABASE}/${directory}/files`), 'FILES'),
      };
    }
  },
};

function directoriesOf(tree: RootedTree): string[] {
  return tree.list(DATABASE).filter((name) => tree.resolveFile(`${DATABASE}/${name}/desc`) !== undefined);
}

function packageOf(tree: RootedTree, directory: string): InstalledPackage | undefined {
  const description = readBytes(tree, `${DATABASE}/${directory}/desc`);
  const name = section(description, 'NAME');
  if (name === '') return undefined;
  const [version, architecture] = [section(description, 'VERSION'), section(description, 'ARCH')];
  return { name, version, architecture, manager: 'pacman' };
}

function section(text: string, name: string): string {
  const heading = `%${name}%\n`;
  const start = text.startsWith(heading) ? 0 : text.indexOf(`\n${heading}`) + 1;
  if (start === 0 && !text.startsWith(heading)) return '';
  const from = start + heading.length;
  const end = text.indexOf('\n\n', from);
  return text.slice(from, end === -1 ? text.length : end).trimEnd();
}
