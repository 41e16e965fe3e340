import type { ModuleSet } from './contents.ts';
import { globExpression, normalPattern } from './glob.ts';
import { normalName, type KernelModule, type ModuleIndex } from './module-index.ts';

/** A module, and what it is in the archive for. */
export interface WantedModule {
  module: KernelModule;
  /** Names what to leave out to be rid of it, such as `module btrfs`; the same for all that came by one word. */
  cause: string;
}

/** What a set wants of a kernel, by its words and its directories. */
export function setMembers(index: ModuleIndex, set: ModuleSet): WantedModule[] {
  const members = set.names.flatMap((name) =>
    index.lookUp(name).map((module) => ({ module, cause: `module ${name}` })),
  );
  const directoryOf = directoryMatcher(set);
  for (const module of index.modules) {
    const directory = directoryOf(module.path, module.name);
    if (directory !== undefined) members.push({ module, cause: `modules of ${directory}/` });
  }
  return members;
}

/** The drivers of a set that are built into the kernel. */
export function builtinMembers(index: ModuleIndex, set: ModuleSet): string[] {
  const directoryOf = directoryMatcher(set);
  const inDirectories = [...index.builtin]
    .filter(([name, path]) => directoryOf(path, name) !== undefined)
    .map(([name]) => name);
  return [...inDirectories, ...set.names.map(normalName).filter((name) => index.isBuiltin(name))];
}

/** The directory of the set that a module's file lies in; undefined where it lies in none, or is left out. */
function directoryMatcher(set: ModuleSet): (path: string, name: string) => string | undefined {
  const directories = new Set(set.directories.map((path) => path.slice(0, -1)));
  const names = new Set(set.excluded.filter((word) => !word.includes('*')).map(normalName));
  const patterns = set.excluded
    .filter((word) => word.includes('*'))
    .map((word) => globExpression(normalPattern(word)));
  const known = new Map<string, string | undefined>();
  const holding = (directory: string): string | undefined => {
    if (known.has(directory)) return known.get(directory);
    const cut = directory.lastIndexOf('/');
    const found = directories.has(directory)
      ? directory
      : cut > 0
        ? holding(directory.slice(0, cut))
        : undefined;
    known.set(directory, found);
    return found;
  };
  return (path, name) => {
    const directory = holding(path.slice(0, path.lastIndexOf('/')));
    if (directory === undefined || names.has(name)) return undefined;
    return patterns.some((pattern) => pattern.test(name)) ? undefined : directory;
  };
}
