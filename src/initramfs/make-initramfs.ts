import { AsideFile } from '../system/aside.ts';
import type { OperationOptions } from '../system/progress.ts';
import { RootedTree } from '../system/rooted.ts';
import { ArchivePlan } from './archive-plan.ts';
import { ArchiveWriter } from './archive-writer.ts';
import { chooseCompression, Compressor, type Compression } from './compression.ts';
import { Contents } from './contents.ts';
import { ElfFile, isElf } from './elf.ts';
import { planFirmware } from './firmware.ts';
import { chooseKernel, type Kernel } from './kernel.ts';
import { KernelConfig } from './kernel-config.ts';
import { decompressModule, firmwareOf, stripModule } from './module-file.ts';
import { ModuleIndex, normalName, type KernelModule } from './module-index.ts';
import { askedModules, type ModuleSelection } from './module-request.ts';
import { selectModules, type SelectedModules } from './module-selection.ts';
import { archivedPath, loadTables, moduleTables } from './module-tables.ts';
import { planPrograms, type ProgramOrigin } from './programs.ts';
import { ScratchPool } from './scratch-pool.ts';

export interface InitramfsRequest {
  /** The directory that holds the root file system; it is only read, and nothing outside it is read through it. */
  root: string;
  /** As `uname -r` says it; needed where the image has several kernels. */
  kver?: string | undefined;
  modules: ModuleSelection;
  /** By default the best that the kernel can read. */
  compression?: Compression | undefined;
  /** The file to write. */
  output: string;
  /** Where imgboot's hooks lie; its own by default. */
  hooksDir?: string | undefined;
}

export interface InitramfsReport {
  output: string;
  sizeBytes: number;
  /** Before compression. */
  archiveBytes: number;
  entryCount: number;
  kver: string;
  /** The kernel's image as a path inside the root, where one was found. */
  kernel: string | undefined;
  compression: Compression['format'];
  moduleCount: number;
  firmwareCount: number;
  /** Firmware that drivers name and the image does not have. */
  missingFirmware: string[];
  origin: ProgramOrigin;
  /** What a user should know: files that are damaged or absent, rules that had no effect. */
  warnings: string[];
}

/**
 * Makes the initramfs for a kernel of a root file system. Same files and SOURCE_DATE_EPOCH: same bytes. The output
 * appears whole and durable, or the old one stays. Needs no root, only the right to read.
 * @throws IMGBOOT_NO_KERNEL, IMGBOOT_SEVERAL_KERNELS, IMGBOOT_NO_SUCH_KERNEL, IMGBOOT_NO_SUCH_MODULE,
 *   IMGBOOT_MISSING_PROGRAM, IMGBOOT_MISSING_LIBRARY, IMGBOOT_COMPRESSION_UNSUPPORTED, IMGBOOT_CANNOT_WRITE
 */
export async function makeInitramfs(
  request: InitramfsRequest,
  options: OperationOptions = {},
): Promise<InitramfsReport> {
  const tree = new RootedTree(request.root);
  const contents = new Contents(request.hooksDir);
  const kernel = chooseKernel(tree, request.kver);
  const config = await KernelConfig.read(tree, kernel);
  const compression = chooseCompression(request.compression, config);
  const index = new ModuleIndex(tree, kernel.version);
  const selected = selectModules(index, request.modules, contents);
  const firmwareNames = new Set(index.builtinFirmware(selected.builtin));
  const plan = new ArchivePlan();
  const machine = machineOf(tree, kernel, selected);
  const names = new Set([...selected.builtin, ...selected.modules.map(({ name }) => name)]);
  const asked = askedModules(request.modules, contents);
  const origin = planPrograms(plan, tree, {
    contents,
    machine,
    hasModule: (name) => names.has(normalName(name)),
    isAskedFor: (name) => asked.has(normalName(name)),
  });
  planOwnFiles(plan, contents);
  planModprobeConfiguration(plan, tree);
  planTables(plan, { kernel, index, selected });
  plan.addText('/etc/imgboot/initramfs.conf', configuration({ kernel, request, origin }));
  const warnings = [...selected.warnings];
  planModules(plan, tree, {
    warnings,
    version: kernel.version,
    modules: selected.modules,
    strips: selected.strips && config?.has('CONFIG_MODULE_SIG_FORCE') !== true,
    firmwareNames,
  });

  using out = AsideFile.create(request.output);
  const writer = await ArchiveWriter.create({
    out,
    compressor: new Compressor(compression, plan.expectedBytes),
    mtimeSeconds: sourceDateEpoch(),
    signal: options.signal,
  });
  try {
    options.progress?.({ step: `packing ${selected.modules.length} modules of ${kernel.version}` });
    await writer.append(plan.take());
    // Only now is it known which firmware the modules name.
    const firmware = planFirmware(plan, tree, { names: firmwareNames, version: kernel.version, config });
    await writer.append(plan.take());
    await writer.finish();
    options.signal?.throwIfAborted();
    out.publish();
    return {
      output: request.output,
      sizeBytes: out.sizeBytes,
      archiveBytes: writer.archiveBytes,
      entryCount: writer.entryCount,
      kver: kernel.version,
      kernel: kernel.image,
      compression: compression.format,
      moduleCount: selected.modules.length,
      firmwareCount: firmware.count,
      missingFirmware: firmware.missing,
      origin,
      warnings,
    };
  } finally {
    await writer.abandon();
  }
}

/** What a packed module grows to, about. */
const TYPICAL_MODULE_RATIO = 4;

function planModules(
  plan: ArchivePlan,
  tree: RootedTree,
  request: {
    version: string;
    modules: readonly KernelModule[];
    strips: boolean;
    /** Gets what the modules name, when they are loaded. */
    firmwareNames: Set<string>;
    warnings: string[];
  },
): void {
  const pool = new ScratchPool();
  for (const module of request.modules) {
    const path = `/lib/modules/${request.version}/${module.path}`;
    const entry = tree.resolveFile(path);
    if (entry === undefined) {
      // kmod fails such a module at boot, too.
      request.warnings.push(
        `${path} is in modules.dep, and there is no such file: run depmod -a ${request.version}`,
      );
      continue;
    }
    const prepare = (bytes: Buffer): Buffer => {
      for (const name of firmwareOf(bytes, path)) request.firmwareNames.add(name);
      return request.strips ? stripModule(bytes, path) : bytes;
    };
    const load = path.endsWith('.ko')
      ? (): Buffer => prepare(tree.readShared(entry))
      : {
          inBackground: async (): Promise<Buffer> =>
            prepare(await decompressModule(path, tree.read(entry), (sizeBytes) => pool.take(sizeBytes))),
          release: (bytes: Buffer): void => pool.give(bytes),
        };
    plan.addFile(`/lib/modules/${request.version}/${archivedPath(module)}`, {
      expectedBytes: entry.sizeBytes * (path.endsWith('.ko') ? 1 : TYPICAL_MODULE_RATIO),
      load,
    });
  }
}

function planTables(
  plan: ArchivePlan,
  made: { kernel: Kernel; index: ModuleIndex; selected: SelectedModules },
): void {
  for (const [name, text] of Object.entries(moduleTables(made.index, made.selected))) {
    plan.addText(`/lib/modules/${made.kernel.version}/${name}`, text);
  }
  const { order, load } = loadTables(made.index, made.selected);
  plan.addText('/etc/imgboot/modules.order', order);
  plan.addText('/etc/imgboot/modules.load', load);
}

function planOwnFiles(plan: ArchivePlan, contents: Contents): void {
  for (const { bytes, path, mode } of contents.files()) {
    plan.addFile(path, { expectedBytes: bytes.length, load: () => bytes }, mode);
  }
  for (const path of contents.directories()) plan.addDirectory(path);
  // The kernel opens it for the init before anything is mounted.
  plan.addDevice('/dev/console', 0o600, { major: 5, minor: 1 });
}

/** Options and blacklists of the image, /etc before /usr/lib. */
function planModprobeConfiguration(plan: ArchivePlan, tree: RootedTree): void {
  for (const directory of ['/etc/modprobe.d', '/lib/modprobe.d']) {
    for (const name of tree.list(directory)) {
      const entry = name.endsWith('.conf') ? tree.resolveFile(`${directory}/${name}`) : undefined;
      if (entry === undefined) continue;
      plan.addFile(`/etc/modprobe.d/${name}`, {
        expectedBytes: entry.sizeBytes,
        load: () => tree.read(entry),
      });
    }
  }
}

/** Plain key=value lines, for the init. */
function configuration(made: { kernel: Kernel; request: InitramfsRequest; origin: ProgramOrigin }): string {
  const { sets, names } = made.request.modules;
  return [
    'version=1',
    `kver=${made.kernel.version}`,
    `modules=${[...sets, ...names].join(',')}`,
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

/** @see https://reproducible-builds.org/specs/source-date-epoch/ */
function sourceDateEpoch(): number {
  const text = process.env['SOURCE_DATE_EPOCH'] ?? '';
  return /^\d+$/.test(text) ? Number(text) : 0;
}
