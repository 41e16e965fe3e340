import { ImgbootError } from '../errors.ts';
import type { RootedEntry, RootedTree } from '../system/rooted.ts';
import { openedLibraries } from './dlopen-note.ts';
import { ElfFile } from './elf.ts';

/** A file that a program needs, under the path by which it is looked for. */
export interface LibraryFile {
  path: string;
  entry: RootedEntry;
}

/** Debian's names of an architecture's own library directories, by e_machine of elf.h. */
const multiarch: Record<number, readonly string[]> = {
  3: ['i386-linux-gnu'],
  21: ['powerpc64le-linux-gnu'],
  22: ['s390x-linux-gnu'],
  40: ['arm-linux-gnueabihf', 'arm-linux-gnueabi'],
  62: ['x86_64-linux-gnu', 'x86_64-linux-gnux32'],
  183: ['aarch64-linux-gnu'],
  243: ['riscv64-linux-gnu'],
  258: ['loongarch64-linux-gnu'],
};

/**
 * The libraries that programs of a tree need, and their dynamic linkers, without running anything of it: as ld.so
 * looks, by DT_RPATH, DT_RUNPATH, the configured and the usual directories. Libraries that are opened by name count,
 * where a `.note.dlopen` requires or recommends them, or the caller names them; these may be missing.
 * The archive has no ld.so.cache: what was found through configuration only is given beside the C library, too.
 * @see ld.so(8)
 */
export class LibraryClosure {
  readonly #tree: RootedTree;
  readonly #search: LibrarySearch;
  readonly #seen = new Set<string>();
  #libc: LibraryFile | undefined;
  /** For the user: what a program will miss. */
  readonly warnings: string[] = [];

  constructor(tree: RootedTree) {
    this.#tree = tree;
    this.#search = new LibrarySearch(tree);
  }

  /**
   * What a program needs and no earlier one did.
   * @param opened sonames that it opens by itself
   * @throws IMGBOOT_MISSING_LIBRARY, IMGBOOT_BAD_ELF
   */
  of(program: RootedEntry, opened: readonly string[] = []): LibraryFile[] {
    const found = new Map<string, LibraryFile>();
    const queue: Queued[] = [{ entry: program, inherited: [], opened }];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const elf = new ElfFile(this.#tree.readShared(next.entry), next.entry.path);
      const { files, inherited } = this.#needsOf(next, elf);
      for (const file of files) {
        found.set(file.path, file);
        if (/\/libc\.(so\.\d+|musl-.*)$/.test(file.path)) this.#libc ??= file;
        if (this.#seen.has(file.entry.path)) continue;
        this.#seen.add(file.entry.path);
        queue.push({ entry: file.entry, inherited, opened: [] });
      }
    }
    const files = [...found.values()];
    return this.#libc === undefined ? files : [...files, ...besideTheCLibrary(files, this.#libc)];
  }

  #needsOf(
    { entry, inherited, opened }: Queued,
    elf: ElfFile,
  ): { files: LibraryFile[]; inherited: readonly string[] } {
    const info = elf.dynamic();
    const origin = directoryOf(entry.path);
    const rpath = info.runpath.length > 0 ? [] : [...info.rpath, ...inherited];
    const own = [...rpath, ...info.runpath].flatMap((directory) => expandTokens(directory, origin));
    const wanted = info.needed.map((name) => ({ name, file: this.#search.find(name, own, elf) }));
    if (info.interpreter !== undefined) {
      wanted.push({ name: info.interpreter, file: this.#search.find(info.interpreter, [], elf) });
    }
    const files = wanted.map(({ name, file }) => {
      if (file === undefined) throw missingLibrary(name, entry.path, this.#tree);
      return file;
    });
    files.push(...opened.flatMap((name) => this.#search.find(name, own, elf) ?? []));
    for (const { priority, sonames } of openedLibraries(elf)) {
      if (priority === 'suggested') continue;
      const file = sonames
        .map((name) => this.#search.find(name, own, elf))
        .find((candidate) => candidate !== undefined);
      if (file !== undefined) files.push(file);
      else if (priority === 'required') {
        this.warnings.push(
          `${entry.path} opens ${sonames.join(' or ')}, which is nowhere in ${this.#tree.root}`,
        );
      }
    }
    return { files, inherited: rpath.flatMap((path) => expandTokens(path, origin)) };
  }
}

interface Queued {
  entry: RootedEntry;
  /** DT_RPATH of what needs it. */
  inherited: readonly string[];
  opened: readonly string[];
}

class LibrarySearch {
  readonly #tree: RootedTree;
  #configured: string[] | undefined;
  readonly #headers = new Map<string, ElfFile>();

  constructor(tree: RootedTree) {
    this.#tree = tree;
  }

  find(name: string, own: readonly string[], user: ElfFile): LibraryFile | undefined {
    if (name.includes('/')) return this.#try(name, user);
    this.#configured ??= readConfiguredDirectories(this.#tree);
    const names = multiarch[user.machine] ?? [];
    const usual = [
      ...names.flatMap((triplet) => [`/lib/${triplet}`, `/usr/lib/${triplet}`]),
      ...(user.is64 ? ['/lib64', '/usr/lib64'] : ['/lib32', '/usr/lib32']),
      '/lib',
      '/usr/lib',
    ];
    for (const directory of [...own, ...this.#configured, ...usual]) {
      const file = this.#try(`${directory}/${name}`, user);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** A library of another class or machine is passed over, as ld.so does. */
  #try(path: string, user: ElfFile): LibraryFile | undefined {
    const entry = this.#tree.resolveFile(path);
    if (entry === undefined) return undefined;
    let elf = this.#headers.get(entry.path);
    elf ??= new ElfFile(this.#tree.read(entry, 64), entry.path);
    this.#headers.set(entry.path, elf);
    return elf.fits(user) ? { path, entry } : undefined;
  }
}

function expandTokens(directory: string, origin: string): string[] {
  if (directory === '') return [];
  const here = directory.replaceAll(/\$\{?ORIGIN\}?/g, origin);
  if (!/\$\{?(LIB|PLATFORM)\}?/.test(here)) return [here];
  return ['lib64', 'lib'].map((lib) =>
    here.replaceAll(/\$\{?LIB\}?/g, lib).replaceAll(/\$\{?PLATFORM\}?/g, 'x86_64'),
  );
}

/** The directories of ld.so.conf and what it includes, and of musl's path files. */
function readConfiguredDirectories(tree: RootedTree): string[] {
  const directories: string[] = [];
  const read = (path: string, depth: number): void => {
    for (const raw of (tree.readFile(path)?.toString('utf8') ?? '').split('\n')) {
      const line = raw.replace(/#.*$/, '').trim();
      const [keyword, pattern] = line.split(/\s+/);
      if (keyword === 'include' && pattern !== undefined && depth < 4) {
        for (const included of expandInclude(tree, pattern)) read(included, depth + 1);
      } else if (line.startsWith('/')) directories.push(...line.split(/[:,\s]+/).filter(Boolean));
    }
  };
  read('/etc/ld.so.conf', 0);
  for (const name of tree.list('/etc')) if (/^ld-musl-.*\.path$/.test(name)) read(`/etc/${name}`, 0);
  return directories;
}

function expandInclude(tree: RootedTree, pattern: string): string[] {
  const absolute = pattern.startsWith('/') ? pattern : `/etc/${pattern}`;
  const cut = absolute.lastIndexOf('/');
  const [directory, last] = [absolute.slice(0, cut), absolute.slice(cut + 1)];
  if (!last.includes('*')) return [absolute];
  const [head = '', tail = ''] = last.split('*');
  return tree
    .list(directory)
    .filter((name) => name.startsWith(head) && name.endsWith(tail) && !name.startsWith('.'))
    .map((name) => `${directory}/${name}`);
}

/** Second names, in the one directory that the dynamic linker surely searches, for libraries that lie elsewhere. */
function besideTheCLibrary(found: readonly LibraryFile[], libc: LibraryFile): LibraryFile[] {
  const directory = directoryOf(libc.path);
  const home = directoryOf(libc.entry.path);
  return found
    .filter(({ path, entry }) => /\.so(\.|$)/.test(path) && directoryOf(entry.path) !== home)
    .map(({ path, entry }) => ({ path: directory + path.slice(path.lastIndexOf('/')), entry }));
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function missingLibrary(name: string, user: string, tree: RootedTree): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_MISSING_LIBRARY',
    `${user} needs ${name}, which is nowhere in ${tree.root}`,
    {
      hint: 'install the package that has it',
    },
  );
}
