import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../errors.ts';
import { byBytes, RootedTree } from '../system/rooted.ts';
import { hasFirmware } from './firmware.ts';
import { joinProfiles, type MachineProfile } from './machine-profile.ts';
import { decompressModule, firmwareOf } from './module-file.ts';
import { ModuleIndex, normalName } from './module-index.ts';
import { kernelViews, readRootStack, type KernelViews } from './root-stack.ts';

/**
 * This machine's hardware and root, as the running kernel shows them; without its firmware, which only
 * {@link recordFirmware} adds. Needs no root.
 * @see Documentation/ABI/testing/sysfs-bus-pci and its neighbours, of the kernel
 */
export function recordMachine(views: KernelViews = kernelViews): MachineProfile {
  const modaliases: Record<string, string | null> = {};
  const add = (device: string): void => {
    const alias = readText(join(device, 'modalias'));
    if (alias !== '') modaliases[alias] ??= driverOf(device);
  };
  const buses = join(views.sys, 'bus');
  for (const bus of names(buses)) {
    for (const device of names(join(buses, bus, 'devices'))) add(join(buses, bus, 'devices', device));
  }
  // The processor's features choose ciphers; the board's name, its quirks.
  add(join(views.sys, 'devices/system/cpu'));
  add(join(views.sys, 'class/dmi/id'));
  const root = readRootStack(views);
  return joinProfiles([{ version: 1, modaliases, firmware: [], root }]);
}

/** The same with the firmware that the drivers of this machine name, where this machine has it. */
export async function recordFirmware(profile: MachineProfile, kver: string): Promise<MachineProfile> {
  const tree = new RootedTree('/');
  const index = new ModuleIndex(tree, kver);
  const drivers = new Set(Object.values(profile.modaliases).flatMap((driver) => driver ?? []));
  const firmware = new Set(index.builtinFirmware(drivers).map(([name]) => name));
  for (const name of drivers) {
    const module = index.find(name);
    const entry = module && tree.resolveFile(`/lib/modules/${kver}/${module.path}`);
    if (module === undefined || entry === undefined) continue;
    const bytes = await decompressModule(module.path, tree.read(entry));
    for (const one of firmwareOf(bytes, module.path)) firmware.add(one);
  }
  return {
    ...profile,
    firmware: [...firmware].filter((name) => hasFirmware(tree, kver, name)).sort(byBytes),
  };
}

/** The module that a device's driver is, or is built in as; null where it has none. */
function driverOf(device: string): string | null {
  try {
    return normalName(basename(realpathSync(join(device, 'driver/module'))));
  } catch {
    return null;
  }
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).sort(byBytes);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** A device may go while it is looked at, and some attributes only the kernel reads. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}
