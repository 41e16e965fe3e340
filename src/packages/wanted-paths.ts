import type { RootedTree } from '../system/rooted.ts';
import type { PackageFiles } from './package.ts';

/** With more names than these, looking at each line is quicker than looking for each name. */
const FEW = 16;

/** Paths that are looked for in the lists of packages' files, under whatever name those have for them. */
export class WantedPaths {
  readonly #tree: RootedTree;
  /** Where a path really lies -> the paths as they were given. */
  readonly #given = new Map<string, string[]>();
  readonly #names: ReadonlySet<string>;

  constructor(tree: RootedTree, paths: readonly string[]) {
    this.#tree = tree;
    for (const path of paths) {
      const real = this.#realPath(path);
      this.#given.set(real, [...(this.#given.get(real) ?? []), path]);
    }
    this.#names = new Set([...this.#given.keys()].map(nameOf));
  }

  /** Those of the paths that are among a package's files. */
  among({ paths, placeOf }: Omit<PackageFiles, 'package'>): string[] {
    // What was pushed aside has another name in the list.
    if (placeOf === undefined && this.#names.size <= FEW && !this.#mayBeIn(paths)) return [];
    const found = new Set<string>();
    for (const line of linesOf(paths)) {
      const path = placeOf?.(line) ?? line;
      if (!this.#names.has(nameOf(path))) continue;
      for (const given of this.#given.get(this.#realPath(path)) ?? []) found.add(given);
    }
    return [...found];
  }

  #mayBeIn(paths: string): boolean {
    return [...this.#names].some((name) => paths.includes(name));
  }

  /** With every link among the directories followed that is there; the last part is meant itself. */
  #realPath(path: string): string {
    const clean = `/${trimSlashes(path)}`;
    for (let directory = clean; directory !== '';) {
      directory = directory.slice(0, directory.lastIndexOf('/'));
      const found = this.#tree.resolve(directory === '' ? '/' : asText(directory));
      if (found?.kind === 'directory') return asBytes(found.path) + clean.slice(directory.length);
    }
    return clean;
  }
}

function* linesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end === -1 ? text.length : end);
    if (line !== '') yield line;
    start = end === -1 ? text.length : end + 1;
  }
}

/** dpkg calls the root `/.`; directories of pacman end with a slash. */
function trimSlashes(path: string): string {
  return path.replace(/\/\.?$/, '').replace(/^\/+/, '');
}

function nameOf(path: string): string {
  const clean = path.endsWith('/') ? path.slice(0, -1) : path;
  return clean.slice(clean.lastIndexOf('/') + 1);
}

function asText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}

function asBytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}
