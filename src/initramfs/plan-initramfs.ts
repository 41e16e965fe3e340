import { RootedTree } from '../system/rooted.ts';
import { ArchivePlan } from './archive-plan.ts';
import { chooseCompression, type Compression } from './compression.ts';
import { planConsole } from './console-setup.ts';
import { Contents } from './contents.ts';
import { ElfFile, isElf } from './elf.ts';
import type { FirmwareRequest } from './firmware.ts';
import { planIncludes, warnOfMissingLibraries } from './include.ts';
import { KernelConfig } from './kernel-config.ts';
import { chooseKernel, type Kernel } from './kernel.ts';
import type { InitramfsRequest } from './make-initramfs.ts';
import { planMicrocode } from './microcode.ts';
import { ModprobeConfig } from './modprobe-config.ts';
import { ModuleIndex, normalName } from './module-index.ts';
import { askedModules } from './module-request.ts';
import { selectModules, type SelectedModules } from './module-selection.ts';
import { planModules, planTables } from './plan-modules.ts';
import { planPrograms, type ProgramOrigin } from './programs.ts';
import { planRootFiles } from './root-files.ts';

/** All that is decided before the first byte is written. */
export interface PlannedInitramfs {
  tree: RootedTree;
  kernel: Kernel;
  compression: Compression;
  selected: SelectedModules;
  /** Everything but firmware: which is wanted is known when the modules are loaded. */
  plan: ArchivePlan;
  firmware: FirmwareRequest;
  /** The archive before it, uncompressed, where the image has microcode. */
  early: ArchivePlan | undefined;
  origin: ProgramOrigin;
  warnings: string[];
}

/** @throws what {@link makeInitramfs} throws before it writes */
export async function planInitramfs(request: InitramfsRequest): Promise<PlannedInitramfs> {
  const tree = new RootedTree(request.root);
  const contents = new Contents(request.hooksDir);
  const kernel = chooseKernel(tree, request.kver);
  const config = await KernelConfig.read(tree, kernel);
  const compression = chooseCompression(request.compression, config);
  const modprobe = new ModprobeConfig(tree);
  const index = new ModuleIndex(tree, kernel.version, modprobe.softDependencies);
  const selected = selectModules(index, request.modules, contents);
  const loadable = new Set(selected.modules.map(({ name }) => name));
  const warnings = [...selected.warnings, ...modprobe.warningsFor(loadable)];
  const plan = new ArchivePlan();
  // First, so that they may take the place of ours.
  const included = planIncludes(plan, request.includes ?? [], warnings);
  const asked = askedModules(request.modules, contents);
  const origin = planPrograms(plan, tree, {
    contents,
    machine: machineOf(tree, kernel, selected),
    hasModule: (name) => loadable.has(normalName(name)) || selected.builtin.has(normalName(name)),
    isAskedFor: (name) => asked.has(normalName(name)),
    warnings,
  });
  planOwnFiles(plan, contents);
  modprobe.plan(plan);
  await planConsole(plan, tree, warnings);
  planRootFiles(plan, tree);
  planTables(plan, { kernel, index, selected, modprobe });
  plan.addText('/etc/imgboot/initramfs.conf', configuration({ kernel, request, origin }));
  const wanted = new Map(index.builtinFirmware(selected.builtin));
  planModules(plan, tree, {
    version: kernel.version,
    selected,
    strips: selected.strips && config?.has('CONFIG_MODULE_SIG_FORCE') !== true,
    firmware: wanted,
    warnings,
  });
  warnOfMissingLibraries(plan, included, warnings);
  const causeOf = causesByName(selected);
  return {
    tree,
    kernel,
    compression,
    selected,
    plan,
    firmware: { wanted, causeOf, version: kernel.version, config, warnings },
    early: earlyArchive(tree, { selected, request, config }),
    origin,
    warnings,
  };
}

function causesByName(selected: SelectedModules): (module: string) => string | undefined {
  const paths = new Map(selected.modules.map(({ name, path }) => [name, path]));
  return (module) => {
    const path = paths.get(module);
    return path === undefined ? undefined : selected.causes.get(path);
  };
}

function earlyArchive(
  tree: RootedTree,
  made: { selected: SelectedModules; request: InitramfsRequest; config: KernelConfig | undefined },
): ArchivePlan | undefined {
  const { sets, machines } = made.request.modules;
  if (!made.selected.wantsMicrocode || made.config?.has('CONFIG_MICROCODE') === false) return undefined;
  const early = new ArchivePlan({ hasUsr: false });
  return planMicrocode(early, tree, sets.length === 0 ? machines : undefined) ? early : undefined;
}

function planOwnFiles(plan: ArchivePlan, contents: Contents): void {
  for (const { bytes, path, mode } of contents.files()) {
    plan.addFile(path, { expectedBytes: bytes.length, load: () => bytes }, mode);
  }
  for (const path of contents.directories()) plan.addDirectory(path);
  // The kernel opens it for the init before anything is mounted.
  plan.addDevice('/dev/console', 0o600, { major: 5, minor: 1 });
}

/** Plain key=value lines, for the init. */
function configuration(made: { kernel: Kernel; request: InitramfsRequest; origin: ProgramOrigin }): string {
  const { sets, names, machines = [] } = made.request.modules;
  return [
    'version=1',
    `kver=${made.kernel.version}`,
    `modules=${[...sets, ...(machines.length > 0 ? ['machine'] : []), ...names].join(',')}`,
    `programs=${made.origin.programs}`,
    `busybox=${made.origin.busybox}`,
    '',
  ].join('\n');
}

/** The machine that the kernel is for, told by the first uncompressed module, else by the image's own shell. */
function machineOf(tree: RootedTree, kernel: Kernel, selected: SelectedModules): number | undefined {
  const modules = selected.modules.filter(({ path }) => path.endsWith('.ko')).slice(0, 1);
  const paths = [
    ...modules.map(({ path }) => `/lib/modules/${kernel.version}/${path}`),
    '/bin/sh',
    '/bin/busybox',
  ];
  for (const path of paths) {
    const entry = tree.resolveFile(path);
    const bytes = entry && tree.read(entry, 64);
    if (bytes !== undefined && isElf(bytes)) return new ElfFile(bytes, path).machine;
  }
  return undefined;
}
