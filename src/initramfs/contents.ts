import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ImgbootError, errorMessage } from '../errors.ts';

const MAX_INCLUDE_DEPTH = 4;

/** The lists of hooks/contents, the only place that says what goes into an initramfs. */
export class Contents {
  readonly #hooksDir: string;

  constructor(hooksDir = defaultHooksDir()) {
    this.#hooksDir = hooksDir;
  }

  get moduleSetNames(): string[] {
    return readdirSync(join(this.#hooksDir, 'contents', 'modules')).sort();
  }

  moduleSet(name: string): ModuleSet {
    return parseModuleSet(this.#setLines(name, 0));
  }

  /** The lines of a set and of those that it includes. */
  #setLines(name: string, depth: number): string[] {
    // One that included itself would never end.
    if (depth > MAX_INCLUDE_DEPTH) return [];
    return this.#lines(`modules/${name}`).flatMap((line) => {
      const [word, other] = line.trim().split(/\s+/);
      return word === '@include' ? this.#setLines(other ?? '', depth + 1) : [line];
    });
  }

  /** Modules that an initramfs for one machine has beside drivers of its hardware and its root's. */
  machine(): string[] {
    return this.#lines('machine').flatMap((line) => line.trim().split(/\s+/));
  }

  /** The modules for each kind of layer between a file system and its disks. */
  layers(): Map<string, string[]> {
    return new Map(
      this.#lines('layers').map((line) => {
        const [layer = '', ...modules] = line.trim().split(/\s+/);
        return [layer, modules];
      }),
    );
  }

  /** Programs that go in with the libraries they need. */
  programs(): ListedProgram[] {
    return this.#lines('programs').map((line) => {
      const [word = '', module, ...opened] = line.trim().split(/\s+/);
      const needed = ({ '?': 'never', '!': 'if-asked' } as const)[word[0] ?? ''] ?? 'always';
      return { name: word.replace(/^[?!]/, ''), module, needed, opened };
    });
  }

  /** Links to busybox, by their paths. */
  applets(): string[] {
    return this.#lines('applets').map((line) => line.trim());
  }

  /** Empty directories, by their paths. */
  directories(): string[] {
    return this.#lines('directories').map((line) => line.trim());
  }

  /** Files of hooks/ and where they go. */
  files(): { bytes: Buffer; path: string; mode: number }[] {
    return this.#lines('files').flatMap((line) => {
      const [source = '', path = '', mode = ''] = line.trim().split(/\s+/);
      return this.#expand(source).map((name) => ({
        bytes: this.#read(name),
        path: path.endsWith('/') ? path + basename(name) : path,
        mode: Number.parseInt(mode, 8),
      }));
    });
  }

  /** The files that a source stands for: one, or all of a directory that end as it does after its `*`. */
  #expand(source: string): string[] {
    const [directory, ending] = source.split('*');
    if (ending === undefined) return [source];
    return readdirSync(join(this.#hooksDir, directory!))
      .filter((name) => name.endsWith(ending))
      .sort()
      .map((name) => directory + name);
  }

  #lines(name: string): string[] {
    return this.#read(`contents/${name}`)
      .toString('utf8')
      .split('\n')
      .map((line) => line.replace(/#.*$/, '').trimEnd())
      .filter((line) => line !== '');
  }

  #read(name: string): Buffer {
    const path = join(this.#hooksDir, name);
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new ImgbootError(
        'IMGBOOT_INCOMPLETE_INSTALLATION',
        `cannot read ${path}: ${errorMessage(cause)}`,
        {
          cause,
          hint: 'it is a part of imgboot: install imgboot again',
        },
      );
    }
  }
}

/** A program of the list; see hooks/contents/programs. */
export interface ListedProgram {
  name: string;
  /** Only where this module is in, too. */
  module: string | undefined;
  /** Whether it may be missing: `if-asked` unless its module was asked for. */
  needed: 'always' | 'if-asked' | 'never';
  /** Libraries that it opens by itself, by their sonames: those that are there go in. */
  opened: string[];
}

/** Which modules a set wants; what the kernel does not have is passed over. */
export interface ModuleSet {
  /** Modules by name. */
  names: string[];
  /** Of these, the ones that the init loads at once. */
  loadAtOnce: string[];
  /** Directories below /lib/modules/VERSION, with a final slash. */
  directories: string[];
  /** Modules that a directory does not bring in, by name; `*` stands for any characters. */
  excluded: string[];
  /** Of the names, the file systems that a root may have: --fs chooses among them. */
  rootFilesystems: string[];
  /** Signatures and debug data may go: the machines it is for do not enforce signatures. */
  strips: boolean;
  /** The machines it is for update their processor's microcode when they boot. */
  wantsMicrocode: boolean;
}

function parseModuleSet(lines: readonly string[]): ModuleSet {
  const set: ModuleSet = {
    names: [],
    loadAtOnce: [],
    directories: [],
    excluded: [],
    rootFilesystems: [],
    strips: false,
    wantsMicrocode: false,
  };
  for (const line of lines) {
    const [first = '', ...rest] = line.trim().split(/\s+/);
    if (first === '@root-fs') {
      set.names.push(...rest);
      set.rootFilesystems.push(...rest);
    } else for (const word of [first, ...rest]) addWord(set, word);
  }
  return set;
}

function addWord(set: ModuleSet, word: string): void {
  if (word === '@strip') set.strips = true;
  else if (word === '@microcode') set.wantsMicrocode = true;
  else if (word.startsWith('+')) {
    set.names.push(word.slice(1));
    set.loadAtOnce.push(word.slice(1));
  } else if (word.startsWith('!')) set.excluded.push(word.slice(1));
  else if (word.endsWith('/')) set.directories.push(word);
  else set.names.push(word);
}

/** hooks/ beside src/ or dist/, wherever this runs from. */
function defaultHooksDir(): string {
  return fileURLToPath(new URL('../../hooks', import.meta.url));
}
