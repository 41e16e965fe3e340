import { ImgbootError } from '../errors.ts';
import { byBytes } from '../system/rooted.ts';
import type { Contents, ModuleSet } from './contents.ts';
import { machineModules, rootModules } from './machine-modules.ts';
import { loadSequence, normalName, type KernelModule, type ModuleIndex } from './module-index.ts';
import type { ModuleSelection } from './module-request.ts';
import { RuleBook } from './module-rules.ts';
import { builtinMembers, setMembers, type WantedModule } from './set-members.ts';

export interface SelectedModules {
  /** All that go into the archive, by path. */
  modules: KernelModule[];
  /** Why each is there, by its path: what brought it first. */
  causes: ReadonlyMap<string, string>;
  /** For the init to load at once, in loading order. */
  loadAtOnce: KernelModule[];
  /** Drivers that were selected and are built into the kernel. */
  builtin: Set<string>;
  /** Whether every set that asked for modules allows stripping them. */
  strips: boolean;
  /** Whether any of what was asked for wants the processor's microcode. */
  wantsMicrocode: boolean;
  /** For the user: what will not load, or was not found. */
  warnings: string[];
}

/** What a selection means for a kernel. @throws IMGBOOT_NO_SUCH_MODULE for what is named and the kernel lacks */
export function selectModules(
  index: ModuleIndex,
  selection: ModuleSelection,
  contents: Contents,
): SelectedModules {
  const machines = selection.machines ?? [];
  const sets = selection.sets.map((name) => withFilesystems(contents.moduleSet(name), selection.filesystems));
  const ofMachines = [
    ...machines.map((machine) =>
      machineModules(index, { machine, contents, filesystems: selection.filesystems }),
    ),
    ...(selection.roots ?? []).map((root) => rootModules(index, root, contents)),
  ];
  const single = selection.names.flatMap((name) => requireModule(index, name));
  const filesystems = (selection.filesystems ?? []).flatMap((name) => requireModule(index, name, '--fs'));
  const rules = new RuleBook(index, selection.rules ?? []);
  const wanted = [
    ...filesystems.map(byName),
    ...single.map(byName),
    ...ofMachines.flatMap((machine) => machine.modules),
    ...sets.flatMap((set) => setMembers(index, set)),
  ].filter(({ module }) => !rules.omits(module));
  const { modules, causes, warnings } = closure(index, [...wanted, ...rules.added()], rules);
  const atOnce = [
    ...sets.flatMap((set) => set.loadAtOnce.flatMap((name) => index.find(name) ?? [])),
    ...single,
  ].flatMap((module) => loadSequence(index, module));
  return {
    modules: [...modules.values()].sort((a, b) => byBytes(a.path, b.path)),
    causes,
    loadAtOnce: [...new Set(atOnce)].filter(({ path }) => modules.has(path)),
    builtin: new Set([
      ...sets.flatMap((set) => builtinMembers(index, set)),
      ...ofMachines.flatMap((machine) => machine.builtin),
      ...[...selection.names, ...(selection.filesystems ?? [])]
        .map(normalName)
        .filter((name) => index.isBuiltin(name)),
    ]),
    strips: sets.length > 0 && machines.length === 0 && sets.every((set) => set.strips),
    wantsMicrocode: machines.length > 0 || sets.some((set) => set.wantsMicrocode),
    warnings: [...rules.warnings, ...warnings],
  };
}

function byName(module: KernelModule): WantedModule {
  return { module, cause: `module ${module.name}` };
}

/** A set whose root file systems are those that were asked for. */
function withFilesystems(set: ModuleSet, filesystems: readonly string[] | undefined): ModuleSet {
  if (filesystems === undefined) return set;
  return { ...set, names: set.names.filter((name) => !set.rootFilesystems.includes(name)) };
}

function requireModule(index: ModuleIndex, name: string, flag = '--modules'): KernelModule[] {
  const found = index.lookUp(name);
  if (found.length > 0 || index.isBuiltin(name)) return found;
  const others = flag === '--modules' ? ', or choose a set: --modules universal' : '';
  throw new ImgbootError('IMGBOOT_NO_SUCH_MODULE', `the kernel ${index.version} has no module ${name}`, {
    hint: `see find /lib/modules/${index.version} -name '*.ko*'${others}`,
  });
}

/** The wanted modules and all that they need, without what the rules leave out and what needs that. */
function closure(
  index: ModuleIndex,
  wanted: readonly WantedModule[],
  rules: RuleBook,
): { modules: Map<string, KernelModule>; causes: Map<string, string>; warnings: string[] } {
  const modules = new Map<string, KernelModule>();
  const causes = new Map<string, string>();
  const warnings: string[] = [];
  const omitted = (module: KernelModule): KernelModule | undefined =>
    module.dependencies.flatMap((name) => index.find(name) ?? []).find((one) => rules.omits(one));
  const isUsable = (module: KernelModule): boolean => !rules.omits(module) && omitted(module) === undefined;
  const queue = [...wanted];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { module, cause } = next;
    if (modules.has(module.path)) continue;
    const without = omitted(module);
    if (without !== undefined) {
      warnings.push(`${module.name} is left out: it needs ${without.name}, which --omit leaves out`);
      continue;
    }
    for (const one of loadSequence(index, module, isUsable)) {
      if (modules.has(one.path)) continue;
      modules.set(one.path, one);
      causes.set(one.path, cause);
      // Not loaded with it, but asked for by it later on.
      const weak = index.weakDependenciesOf(one.name).flatMap((name) => index.lookUp(name));
      queue.push(...weak.filter(isUsable).map((other) => ({ module: other, cause })));
      const lost = one.dependencies.filter(
        (name) => index.find(name) === undefined && !index.isBuiltin(name),
      );
      if (lost.length > 0) {
        warnings.push(
          `${one.path} needs ${lost.join(', ')}, which the kernel ${index.version} does not have`,
        );
      }
    }
  }
  return { modules, causes, warnings };
}
