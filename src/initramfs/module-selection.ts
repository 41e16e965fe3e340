import { ImgbootError } from '../errors.ts';
import { byBytes } from '../system/rooted.ts';
import type { Contents, ModuleSet } from './contents.ts';
import { loadSequence, moduleName, normalName, type KernelModule, type ModuleIndex } from './module-index.ts';

/** Named sets of hooks/contents/modules, and single modules; the union of all of them is meant. */
export interface ModuleSelection {
  sets: readonly string[];
  names: readonly string[];
}

/** Reads `universal`, `virtio`, `virtio,nbd,9p`. @throws IMGBOOT_USAGE where it names nothing */
export function parseModuleSelection(text: string, contents: Contents): ModuleSelection {
  const words = text.split(',').filter((word) => word !== '');
  if (words.length === 0) {
    throw new ImgbootError('IMGBOOT_USAGE', 'no modules are named', {
      hint: `choose ${contents.moduleSetNames.join(', ')}, or names of modules`,
    });
  }
  const sets = new Set(contents.moduleSetNames);
  return { sets: words.filter((word) => sets.has(word)), names: words.filter((word) => !sets.has(word)) };
}

export interface SelectedModules {
  /** All that go into the archive, by path. */
  modules: KernelModule[];
  /** For the init to load at once, in loading order. */
  loadAtOnce: KernelModule[];
  /** Drivers that were selected and are built into the kernel. */
  builtin: Set<string>;
  /** Whether every set that asked for modules allows stripping them. */
  strips: boolean;
}

/** What a selection means for a kernel. @throws IMGBOOT_NO_SUCH_MODULE for a single module that it does not have */
export function selectModules(
  index: ModuleIndex,
  selection: ModuleSelection,
  contents: Contents,
): SelectedModules {
  const sets = selection.sets.map((name) => contents.moduleSet(name));
  const single = selection.names.flatMap((name) => requireModule(index, name));
  const wanted = [...sets.flatMap((set) => setMembers(index, set)), ...single];
  const modules = new Map<string, KernelModule>();
  for (const module of wanted) {
    if (modules.has(module.path)) continue;
    for (const one of loadSequence(index, module)) modules.set(one.path, one);
  }
  const atOnce = [
    ...sets.flatMap((set) => set.loadAtOnce.flatMap((name) => index.find(name) ?? [])),
    ...single,
  ].flatMap((module) => loadSequence(index, module));
  return {
    modules: [...modules.values()].sort((a, b) => byBytes(a.path, b.path)),
    loadAtOnce: [...new Set(atOnce)],
    builtin: new Set([
      ...sets.flatMap((set) => builtinMembers(index, set)),
      ...selection.names.map(normalName).filter((name) => index.isBuiltin(name)),
    ]),
    strips: sets.length > 0 && sets.every((set) => set.strips),
  };
}

function requireModule(index: ModuleIndex, name: string): KernelModule[] {
  const found = index.lookUp(name);
  if (found.length > 0 || index.isBuiltin(name)) return found;
  throw new ImgbootError('IMGBOOT_NO_SUCH_MODULE', `the kernel ${index.version} has no module ${name}`, {
    hint: `see find /lib/modules/${index.version} -name '*.ko*', or choose a set: --modules universal`,
  });
}

function setMembers(index: ModuleIndex, set: ModuleSet): KernelModule[] {
  const members = set.names.flatMap((name) => index.lookUp(name));
  const isMember = directoryMatcher(set);
  for (const module of index.modules) if (isMember(module.path, module.name)) members.push(module);
  return members;
}

function builtinMembers(index: ModuleIndex, set: ModuleSet): string[] {
  const isMember = directoryMatcher(set);
  const inDirectories = [...index.builtin]
    .filter(([name, path]) => isMember(path, name))
    .map(([name]) => name);
  return [...inDirectories, ...set.names.map(normalName).filter((name) => index.isBuiltin(name))];
}

/** Whether a module's file lies in one of the set's directories, and is not left out. */
function directoryMatcher(set: ModuleSet): (path: string, name: string) => boolean {
  const directories = new Set(set.directories.map((path) => path.slice(0, -1)));
  const names = new Set(set.excluded.filter((word) => !word.includes('*')).map(normalName));
  const patterns = set.excluded.filter((word) => word.includes('*')).map(globExpression);
  const known = new Map<string, boolean>();
  const isInside = (directory: string): boolean => {
    const cached = known.get(directory);
    if (cached !== undefined) return cached;
    const cut = directory.lastIndexOf('/');
    const inside = directories.has(directory) || (cut > 0 && isInside(directory.slice(0, cut)));
    known.set(directory, inside);
    return inside;
  };
  return (path, name) =>
    isInside(path.slice(0, path.lastIndexOf('/'))) &&
    !names.has(name) &&
    !patterns.some((pattern) => pattern.test(name));
}

/** A pattern in which `*` stands for any characters, and `-` and `_` are one. */
function globExpression(pattern: string): RegExp {
  const escaped = normalName(pattern).replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*')}$`);
}

/** The text files by which modules are found in the archive. Paths are those in the archive: unpacked, `.ko`. */
export function moduleTables(index: ModuleIndex, selected: SelectedModules): Record<string, string> {
  const included = new Map(selected.modules.map((module) => [module.name, module]));
  const builtin = [...selected.builtin].sort(byBytes);
  return {
    'modules.dep': selected.modules.map((module) => dependencyLine(module, included)).join(''),
    'modules.alias': index.aliases
      .filter(([, name]) => included.has(name))
      .map(([pattern, name]) => `alias ${pattern} ${name}\n`)
      .join(''),
    'modules.builtin': builtin.map((name) => `${index.builtin.get(name)}\n`).join(''),
  };
}

/**
 * The loading orders, worked out here so that the init needs no modprobe: `order` has one file a line, `load` a
 * module's name and its files, all with what should and must be loaded before them.
 */
export function loadTables(index: ModuleIndex, selected: SelectedModules): { order: string; load: string } {
  const inArchive = (module: KernelModule): string => `/lib/modules/${index.version}/${archivedPath(module)}`;
  const sequences = selected.modules.map((module) => {
    const files = loadSequence(index, module).map(inArchive);
    return `${module.name} ${files.join(' ')}\n`;
  });
  const builtin = [...selected.builtin].map((name) => `${name}\n`);
  return {
    order: selected.loadAtOnce.map((module) => `${inArchive(module)}\n`).join(''),
    load: [...builtin, ...sequences].sort(byBytes).join(''),
  };
}

/** Where a module lies in the archive, below /lib/modules/VERSION. */
export function archivedPath(module: KernelModule): string {
  return module.path.replace(/\.ko\.\w+$/, '.ko');
}

function dependencyLine(module: KernelModule, included: ReadonlyMap<string, KernelModule>): string {
  // modules.dep has the nearest first.
  const needed = module.dependencies.flatMap((name) => included.get(moduleName(name)) ?? []).toReversed();
  return `${[`${archivedPath(module)}:`, ...needed.map(archivedPath)].join(' ')}\n`;
}
