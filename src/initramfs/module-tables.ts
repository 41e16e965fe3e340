import { byBytes } from '../system/rooted.ts';
import { loadSequence, moduleName, type KernelModule, type ModuleIndex } from './module-index.ts';
import type { SelectedModules } from './module-selection.ts';

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
  const included = new Set(selected.modules.map(({ path }) => path));
  const inArchive = (module: KernelModule): string => `/lib/modules/${index.version}/${archivedPath(module)}`;
  const sequences = selected.modules.map((module) => {
    const files = loadSequence(index, module, ({ path }) => included.has(path)).map(inArchive);
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
