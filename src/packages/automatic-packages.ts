import type { RootedTree } from '../system/rooted.ts';
import { readBytes, type InstalledPackage } from './package.ts';

type Named = Pick<InstalledPackage, 'name' | 'architecture' | 'manager'> & { version: string };

/**
 * Tells whether a package is there for another one's sake only, as far as its manager keeps that: apt in
 * extended_states, apk by what is not in its world, pacman in %REASON%. rpm itself does not.
 */
export function automaticPackages(tree: RootedTree): (one: Named) => boolean {
  const apt = new Set(
    readBytes(tree, '/var/lib/apt/extended_states')
      .split(/\n\n+/)
      .filter((paragraph) => /^Auto-Installed: 1$/m.test(paragraph))
      .map((paragraph) => /^Package: (.*)$/m.exec(paragraph)?.[1]),
  );
  const world = new Set(
    readBytes(tree, '/etc/apk/world')
      .split(/\s+/)
      .map((word) => word.replace(/[<>=~@].*$/, '')),
  );
  return ({ manager, name, version }) => {
    if (manager === 'dpkg') return apt.has(name);
    if (manager === 'apk') return !world.has(name);
    if (manager !== 'pacman' || name.includes('/') || version.includes('/')) return false;
    const description = readBytes(tree, `/var/lib/pacman/local/${name}-${version}/desc`);
    return /^%REASON%\n1$/m.test(description);
  };
}
