import { ImgbootError } from '../errors.ts';
import type { RootedTree } from '../system/rooted.ts';

export const packageManagers = ['dpkg', 'apk', 'pacman', 'rpm'] as const;

/** A package that is installed in a root file system, as its package manager's database has it. */
export interface InstalledPackage {
  name: string;
  version: string;
  /** In the manager's own words: `amd64`, `x86_64`, `all`, `noarch`; empty where it has none. */
  architecture: string;
  manager: (typeof packageManagers)[number];
}

/** The files of a package. */
export interface PackageFiles {
  package: InstalledPackage;
  /** A path a line, as byte strings; with or without a slash at either end. */
  paths: string;
  /** Where a file that the package brings lies in truth, where another package has pushed it aside. */
  placeOf?: (path: string) => string;
}

/** How one package manager keeps what it knows. All is read inside the root: no link of it leads out. */
export interface DatabaseReader {
  /** Nothing where the root has no such database. @throws IMGBOOT_PACKAGES_UNREADABLE */
  packages(tree: RootedTree): InstalledPackage[] | Promise<InstalledPackage[]>;
  /** @throws IMGBOOT_PACKAGES_UNREADABLE */
  files(tree: RootedTree): Iterable<PackageFiles> | Promise<Iterable<PackageFiles>>;
}

/** No database has a larger file, and no text can be much larger. */
const MAX_BYTES = 256 * 1024 * 1024;

/** The content of a file as a byte string; empty where there is none. @throws IMGBOOT_PACKAGES_UNREADABLE */
export function readBytes(tree: RootedTree, path: string): string {
  const entry = tree.resolveFile(path);
  if (entry === undefined) return '';
  if (entry.sizeBytes <= MAX_BYTES) return tree.read(entry).toString('latin1');
  throw new ImgbootError(
    'IMGBOOT_PACKAGES_UNREADABLE',
    `${path} of ${tree.root} has ${entry.sizeBytes} bytes: too many for a list of packages`,
  );
}
