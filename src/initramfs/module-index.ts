import { ImgbootError } from '../errors.ts';
import type { RootedTree } from '../system/rooted.ts';

/** A module that lies in a file. */
export interface KernelModule {
  /** As the kernel calls it: `-` is `_`. */
  name: string;
  /** Below /lib/modules/VERSION: `kernel/fs/btrfs/btrfs.ko.xz`. */
  path: string;
  /** The modules it needs, in loading order. */
  dependencies: readonly string[];
}

interface SoftDependencies {
  pre: string[];
  post: string[];
}

/**
 * What depmod wrote about a kernel's modules. Read here rather than asked of modprobe, which would be a process a
 * module.
 * @see modules.dep(5), modprobe.d(5)
 */
export class ModuleIndex {
  readonly version: string;
  readonly #tree: RootedTree;
  readonly #modules: ReadonlyMap<string, KernelModule>;
  readonly #builtin: ReadonlyMap<string, string>;
  readonly #moreSoftDependencies: string;
  #softDependencies: Map<string, SoftDependencies> | undefined;
  #weakDependencies: Map<string, string[]> | undefined;
  #aliases: [pattern: string, name: string][] | undefined;
  #namesOfAliases: Map<string, string[]> | undefined;

  /**
   * @param softDependencies more of them, in the form of modules.softdep
   * @throws IMGBOOT_CANNOT_READ, IMGBOOT_BAD_MODULES_DEP
   */
  constructor(tree: RootedTree, version: string, softDependencies = '') {
    this.#moreSoftDependencies = softDependencies;
    this.#tree = tree;
    this.version = version;
    this.#modules = parseDependencies(this.#text('modules.dep'));
    this.#builtin = new Map(lines(this.#text('modules.builtin')).map((path) => [moduleName(path), path]));
  }

  get modules(): Iterable<KernelModule> {
    return this.#modules.values();
  }

  /** Name and path of what is built into the kernel. */
  get builtin(): ReadonlyMap<string, string> {
    return this.#builtin;
  }

  find(name: string): KernelModule | undefined {
    return this.#modules.get(normalName(name));
  }

  isBuiltin(name: string): boolean {
    return this.#builtin.has(normalName(name));
  }

  /** The modules that a name or an alias stands for; none where it is built in or unknown. */
  lookUp(nameOrAlias: string): KernelModule[] {
    const module = this.find(nameOrAlias);
    if (module !== undefined) return [module];
    this.#namesOfAliases ??= plainAliases(this.aliases);
    const names = this.#namesOfAliases.get(nameOrAlias) ?? [];
    return [...new Set(names)].flatMap((name) => this.find(name) ?? []);
  }

  softDependenciesOf(name: string): SoftDependencies | undefined {
    this.#softDependencies ??= parseSoftDependencies(
      `${this.#text('modules.softdep')}\n${this.#moreSoftDependencies}`,
    );
    return this.#softDependencies.get(name);
  }

  /** The modules that one may want later, and does not load by itself. @see modprobe.d(5), weakdep */
  weakDependenciesOf(name: string): readonly string[] {
    this.#weakDependencies ??= parseWeakDependencies(this.#text('modules.weakdep'));
    return this.#weakDependencies.get(name) ?? [];
  }

  /** Every alias, in the order of modules.alias. */
  get aliases(): readonly [pattern: string, name: string][] {
    this.#aliases ??= lines(this.#text('modules.alias')).flatMap((line) => parseAlias(line) ?? []);
    return this.#aliases;
  }

  /** The firmware that drivers which are built in name, each with the driver. */
  builtinFirmware(names: ReadonlySet<string>): [firmware: string, driver: string][] {
    return this.#text('modules.builtin.modinfo')
      .split('\0')
      .flatMap((field): [string, string][] => {
        const [, driver, firmware] = /^([^.=]+)\.firmware=(.+)$/s.exec(field) ?? [];
        if (driver === undefined || firmware === undefined) return [];
        return names.has(normalName(driver)) ? [[firmware, normalName(driver)]] : [];
      });
  }

  #text(name: string): string {
    return this.#tree.readFile(`/lib/modules/${this.version}/${name}`)?.toString('latin1') ?? '';
  }
}

/** A module's name from its file's. */
export function moduleName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const cut = base.indexOf('.ko');
  return normalName(cut === -1 ? base : base.slice(0, cut));
}

export function normalName(name: string): string {
  return name.replaceAll('-', '_');
}

/**
 * The modules to load for one, in order and itself included: first what it should have before it (soft) and must
 * have (hard), then itself, then what should follow. A cycle of soft dependencies is followed once around.
 * @param isUsable what else is left out
 */
export function loadSequence(
  index: ModuleIndex,
  module: KernelModule,
  isUsable: (module: KernelModule) => boolean = () => true,
): KernelModule[] {
  const sequence: KernelModule[] = [];
  const seen = new Set<string>();
  const visit = (one: KernelModule): void => {
    if (seen.has(one.name) || !isUsable(one)) return;
    seen.add(one.name);
    const soft = index.softDependenciesOf(one.name);
    for (const name of soft?.pre ?? []) index.lookUp(name).forEach(visit);
    for (const name of one.dependencies) {
      const dependency = index.find(name);
      if (dependency !== undefined) visit(dependency);
    }
    sequence.push(one);
    for (const name of soft?.post ?? []) index.lookUp(name).forEach(visit);
  };
  visit(module);
  return sequence;
}

function parseDependencies(text: string): Map<string, KernelModule> {
  const modules = new Map<string, KernelModule>();
  for (const line of lines(text)) {
    const cut = line.indexOf(':');
    const path = line.slice(0, cut);
    if (cut === -1 || !isModulePath(path)) continue;
    const rest = line.slice(cut + 1).trim();
    // Listed from the nearest to the deepest.
    const dependencies = rest === '' ? [] : rest.split(/\s+/).map(moduleName).toReversed();
    const name = moduleName(path);
    modules.set(name, { name, path, dependencies });
  }
  if (modules.size === 0 && text !== '') {
    throw new ImgbootError('IMGBOOT_BAD_MODULES_DEP', 'modules.dep of the kernel lists no module', {
      hint: 'write it again with depmod -a',
    });
  }
  return modules;
}

/** Whether it stays below the kernel's directory, and is one word in our own lists. */
function isModulePath(path: string): boolean {
  return /^[A-Za-z0-9_][^\s:]*\.ko(\.\w+)?$/.test(path) && !path.split('/').includes('..');
}

function parseSoftDependencies(text: string): Map<string, SoftDependencies> {
  const found = new Map<string, SoftDependencies>();
  for (const line of lines(text)) {
    const [keyword, name, ...words] = line.split(/\s+/);
    if (keyword !== 'softdep' || name === undefined) continue;
    const entry = found.get(normalName(name)) ?? { pre: [], post: [] };
    found.set(normalName(name), entry);
    // Without a keyword before it, a word is not a dependency: kmod passes over it, too.
    let list: string[] | undefined;
    for (const word of words) {
      if (word === 'pre:') list = entry.pre;
      else if (word === 'post:') list = entry.post;
      else list?.push(word);
    }
  }
  return found;
}

function parseWeakDependencies(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of lines(text)) {
    const [keyword, name, ...words] = line.split(/\s+/);
    if (keyword !== 'weakdep' || name === undefined) continue;
    found.set(normalName(name), [...(found.get(normalName(name)) ?? []), ...words]);
  }
  return found;
}

function parseAlias(line: string): [pattern: string, name: string][] | undefined {
  if (!line.startsWith('alias ')) return undefined;
  const cut = line.lastIndexOf(' ');
  return cut <= 6 ? undefined : [[line.slice(6, cut), normalName(line.slice(cut + 1))]];
}

/** The aliases that people and soft dependencies use; those of hardware have a colon. */
function plainAliases(aliases: readonly [pattern: string, name: string][]): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const [alias, name] of aliases) {
    if (!alias.includes(':')) names.set(alias, [...(names.get(alias) ?? []), name]);
  }
  return names;
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}
