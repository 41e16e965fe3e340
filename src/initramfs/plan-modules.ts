import { byBytes, type RootedTree } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import type { Kernel } from './kernel.ts';
import type { ModprobeConfig } from './modprobe-config.ts';
import { decompressModule, firmwareOf, stripModule } from './module-file.ts';
import type { ModuleIndex } from './module-index.ts';
import type { SelectedModules } from './module-selection.ts';
import { archivedPath, loadTables, moduleTables } from './module-tables.ts';
import { ScratchPool } from './scratch-pool.ts';

/** What a packed module grows to, about. */
const TYPICAL_MODULE_RATIO = 4;

/** Plans the modules' files, unpacked and, where asked for, stripped. What each asks for is known when it is loaded. */
export function planModules(
  plan: ArchivePlan,
  tree: RootedTree,
  request: {
    version: string;
    selected: SelectedModules;
    strips: boolean;
    /** Gets the names of firmware, each with a module that names it. */
    firmware: Map<string, string>;
    warnings: string[];
  },
): void {
  const { version, selected, strips, firmware, warnings } = request;
  const pool = new ScratchPool();
  for (const module of selected.modules) {
    const path = `/lib/modules/${version}/${module.path}`;
    const entry = tree.resolveFile(path);
    if (entry === undefined) {
      // kmod fails such a module at boot, too.
      warnings.push(`${path} is in modules.dep, and there is no such file: run depmod -a ${version}`);
      continue;
    }
    const prepare = (bytes: Buffer): Buffer => {
      for (const name of firmwareOf(bytes, path)) {
        // Of several, the first by name, whichever was unpacked first.
        const other = firmware.get(name);
        if (other === undefined || byBytes(module.name, other) < 0) firmware.set(name, module.name);
      }
      return strips ? stripModule(bytes, path) : bytes;
    };
    const isPlain = path.endsWith('.ko');
    const load = isPlain
      ? (): Buffer => prepare(tree.readShared(entry))
      : {
          inBackground: async (): Promise<Buffer> =>
            prepare(await decompressModule(path, tree.read(entry), (sizeBytes) => pool.take(sizeBytes))),
          release: (bytes: Buffer): void => pool.give(bytes),
        };
    const expectedBytes = entry.sizeBytes * (isPlain ? 1 : TYPICAL_MODULE_RATIO);
    plan.because(selected.causes.get(module.path)!, () =>
      plan.addFile(`/lib/modules/${version}/${archivedPath(module)}`, { expectedBytes, load }),
    );
  }
}

/** Plans the lists by which the init and modprobe find modules. */
export function planTables(
  plan: ArchivePlan,
  made: { kernel: Kernel; index: ModuleIndex; selected: SelectedModules; modprobe: ModprobeConfig },
): void {
  plan.because('module index', () => {
    for (const [name, text] of Object.entries(moduleTables(made.index, made.selected))) {
      plan.addText(`/lib/modules/${made.kernel.version}/${name}`, text);
    }
    const { order, load } = loadTables(made.index, made.selected);
    plan.addText('/etc/imgboot/modules.order', order);
    plan.addText('/etc/imgboot/modules.load', load);
    // modprobe reads them itself; insmod has to be told.
    const options = made.selected.modules.flatMap((module) => {
      const words = made.modprobe.optionsOf(module.name);
      return words === '' ? [] : [`/lib/modules/${made.kernel.version}/${archivedPath(module)} ${words}\n`];
    });
    if (options.length > 0) plan.addText('/etc/imgboot/modules.options', options.join(''));
  });
}
