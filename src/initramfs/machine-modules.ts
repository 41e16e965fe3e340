import type { Contents } from './contents.ts';
import { globExpression, normalPattern } from './glob.ts';
import type { MachineProfile, RootStack } from './machine-profile.ts';
import { normalName, type KernelModule, type ModuleIndex } from './module-index.ts';
import { setMembers, type WantedModule } from './set-members.ts';

/**
 * The modules of a kernel that boot a machine: of the universal set, the drivers that the machine's modaliases or the
 * names of its drivers call for, what its root lies on, and the few that any machine needs. Only the target kernel's
 * own lists count: what is built into the running one may be a module of this one.
 */
export function machineModules(
  index: ModuleIndex,
  request: { machine: MachineProfile; contents: Contents; filesystems: readonly string[] | undefined },
): NamedModules {
  const { machine, contents } = request;
  const drivers = new Set(driversOf(index, machine).map(({ path }) => path));
  const hardware = setMembers(index, contents.moduleSet('universal'))
    .filter(({ module }) => drivers.has(module.path))
    .map(({ module }) => ({ module, cause: `module ${module.name}` }));
  const filesystems = request.filesystems ?? machine.root.filesystems;
  const named = namedModules(index, [
    ...rootNames({ ...machine.root, filesystems }, contents),
    ...contents.machine(),
  ]);
  return { ...named, modules: [...named.modules, ...hardware] };
}

/** The modules of a kernel that a root lies on. */
export function rootModules(index: ModuleIndex, root: RootStack, contents: Contents): NamedModules {
  return namedModules(index, rootNames(root, contents));
}

interface NamedModules {
  modules: WantedModule[];
  /** Those that are built into the kernel. */
  builtin: string[];
}

/** What a kernel has of these. */
function namedModules(index: ModuleIndex, names: readonly string[]): NamedModules {
  return {
    modules: names.flatMap((name) =>
      index.lookUp(name).map((module) => ({ module, cause: `module ${module.name}` })),
    ),
    builtin: names.map(normalName).filter((name) => index.isBuiltin(name)),
  };
}

/** Every module of a kernel that drives something of the machine. */
function driversOf(index: ModuleIndex, machine: MachineProfile): KernelModule[] {
  const matched = matchAliases(index, Object.keys(machine.modaliases));
  const named = Object.values(machine.modaliases).flatMap((name) => name ?? []);
  return [...new Set([...matched, ...named])].flatMap((name) => index.find(name) ?? []);
}

/** The names of the modules whose aliases match any of these modaliases. @see modules.alias, fnmatch(3) */
export function matchAliases(index: ModuleIndex, modaliases: readonly string[]): Set<string> {
  // kmod takes `-` and `_` for one in aliases, too. Few patterns begin as any one alias does.
  const wanted = modaliases.map(normalName);
  const found = new Set<string>();
  for (const [pattern, name] of index.aliases) {
    if (found.has(name)) continue;
    const normal = normalPattern(pattern);
    const fixed = normal.slice(0, Math.max(0, normal.search(/[*?[]/)));
    const candidates = wanted.filter((alias) => alias.startsWith(fixed));
    if (candidates.length === 0) continue;
    const expression = globExpression(normal);
    if (candidates.some((alias) => expression.test(alias))) found.add(name);
  }
  return found;
}

/** Of what lies between file system and disk, a kind that the list does not have brings nothing. */
function rootNames({ filesystems, layers }: RootStack, contents: Contents): string[] {
  const known = contents.layers();
  return [...filesystems, ...layers.flatMap((layer) => known.get(layer) ?? [])];
}
