import { ImgbootError } from '../errors.ts';
import { byBytes, type RootedTree } from '../system/rooted.ts';
import { apk } from './apk.ts';
import { dpkg } from './dpkg.ts';
import { packageManagers, type DatabaseReader, type InstalledPackage } from './package.ts';
import { pacman } from './pacman.ts';
import { rpm } from './rpm.ts';
import { WantedPaths } from './wanted-paths.ts';

const readers: Record<InstalledPackage['manager'], DatabaseReader> = { dpkg, apk, pacman, rpm };

/** What the package databases of a root file system say, and which of them could not be read. */
export interface PackageAnswer<Answer> {
  answer: Answer;
  unread: ImgbootError[];
}

/** The packages that are installed in a root file system, by name. */
export async function readPackages(tree: RootedTree): Promise<PackageAnswer<InstalledPackage[]>> {
  const { answer, unread } = await ask(async (reader) => reader.packages(tree));
  return { answer: answer.flat().sort(byName), unread };
}

/**
 * The packages that own each path: none where nobody does, and of a directory often many. A path that a link of the
 * root's directories gives two names (`/bin/sh`, `/usr/bin/sh`) is found under either.
 * @param paths absolute, as byte strings; they need not be there (any more). A link itself is meant, not what it names.
 */
export async function ownersOf(
  tree: RootedTree,
  paths: readonly string[],
): Promise<PackageAnswer<Map<string, InstalledPackage[]>>> {
  const owners = new Map<string, InstalledPackage[]>(paths.map((path) => [path, []]));
  if (paths.length === 0) return { answer: owners, unread: [] };
  const wanted = new WantedPaths(tree, paths);
  const { unread } = await ask(async (reader) => {
    for (const files of await reader.files(tree))
      for (const path of wanted.among(files)) owners.get(path)!.push(files.package);
  });
  for (const found of owners.values()) found.sort(byName);
  return { answer: owners, unread };
}

async function ask<Answer>(
  question: (reader: DatabaseReader) => Promise<Answer>,
): Promise<PackageAnswer<Answer[]>> {
  const answers: Answer[] = [];
  const unread: ImgbootError[] = [];
  for (const manager of packageManagers) {
    try {
      answers.push(await question(readers[manager]));
    } catch (error) {
      if (!(error instanceof ImgbootError)) throw error;
      unread.push(error);
    }
  }
  return { answer: answers, unread };
}

function byName(a: InstalledPackage, b: InstalledPackage): number {
  return byBytes(a.name, b.name) || byBytes(a.architecture, b.architecture) || byBytes(a.version, b.version);
}
