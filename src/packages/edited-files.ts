import { createHash } from 'node:crypto';
import type { RootedTree } from '../system/rooted.ts';
import { readBytes, type InstalledPackage } from './package.ts';

const INFO = '/var/lib/dpkg/info';

/**
 * Files of packages whose content is no longer what the package brought: byte strings, from the root without its slash.
 * dpkg's databases have digests; of other managers' packages none is told.
 */
export function editedFiles(
  tree: RootedTree,
  packages: readonly Pick<InstalledPackage, 'name' | 'architecture' | 'manager'>[],
): string[] {
  const own = packages.filter(({ manager, name }) => manager === 'dpkg' && !name.includes('/'));
  if (own.length === 0) return [];
  const configuration = configurationFiles(readBytes(tree, '/var/lib/dpkg/status'));
  return own.flatMap(({ name, architecture }) => {
    const sums = [`${name}.md5sums`, `${name}:${architecture}.md5sums`]
      .map((file) => readBytes(tree, `${INFO}/${file}`))
      .find((text) => text !== '');
    return [...digestsIn(sums ?? ''), ...(configuration.get(name) ?? [])]
      .filter(([path, digest]) => isEdited(tree, { path, digest }))
      .map(([path]) => path);
  });
}

/** `<digest>  <path>` a line. */
function digestsIn(text: string): [path: string, digest: string][] {
  return [...text.matchAll(/^([0-9a-f]{32}) [ *]\/?(.+)$/gm)].map((match) => [match[2]!, match[1]!]);
}

/** Of each package, `Conffiles:` of its paragraph: ` /etc/x <digest>` a line, and perhaps `obsolete`. */
function configurationFiles(status: string): Map<string, [path: string, digest: string][]> {
  return new Map(
    status.split(/\n\n+/).map((paragraph) => {
      const name = /^Package: (.*)$/m.exec(paragraph)?.[1] ?? '';
      const lines = /^Conffiles:\n((?: .*\n?)*)/m.exec(paragraph)?.[1] ?? '';
      const files = [...lines.matchAll(/^ \/(.+) ([0-9a-f]{32})(?: obsolete)?$/gm)];
      return [name, files.map((match): [string, string] => [match[1]!, match[2]!])];
    }),
  );
}

function isEdited(tree: RootedTree, { path, digest }: { path: string; digest: string }): boolean {
  const entry = tree.resolveFile(`/${Buffer.from(path, 'latin1').toString()}`);
  // What was deleted is told by whoever compares.
  if (entry === undefined) return false;
  return createHash('md5').update(tree.read(entry)).digest('hex') !== digest;
}
