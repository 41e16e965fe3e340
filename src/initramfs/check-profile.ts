import { RootedTree } from '../system/rooted.ts';
import { Contents } from './contents.ts';
import { hasFirmware } from './firmware.ts';
import { chooseKernel } from './kernel.ts';
import { matchAliases } from './machine-modules.ts';
import type { MachineProfile } from './machine-profile.ts';
import { ModuleIndex } from './module-index.ts';

/** Something that a machine needs and an image does not have. */
export interface ProfileFinding {
  kind: 'driver' | 'firmware' | 'root';
  /** The modalias, the firmware's name, the file system or the layer. */
  subject: string;
  message: string;
}

/**
 * What a root file system lacks for a machine. A device counts where a driver served it on the machine: most devices
 * never have one.
 * @throws IMGBOOT_NO_KERNEL, IMGBOOT_SEVERAL_KERNELS, IMGBOOT_NO_SUCH_KERNEL
 */
export function checkProfile(request: {
  root: string;
  profile: MachineProfile;
  kver: string | undefined;
}): ProfileFinding[] {
  const tree = new RootedTree(request.root);
  const { version } = chooseKernel(tree, request.kver);
  const index = new ModuleIndex(tree, version);
  const { profile } = request;
  return [
    ...missingRoot(index, profile),
    ...missingDrivers(index, profile),
    ...profile.firmware
      .filter((name) => !hasFirmware(tree, version, name))
      .map((name) => ({
        kind: 'firmware' as const,
        subject: name,
        message: `firmware ${name} is not in the image`,
      })),
  ];
}

function missingDrivers(index: ModuleIndex, { modaliases }: MachineProfile): ProfileFinding[] {
  return Object.entries(modaliases).flatMap(([alias, driver]) => {
    if (driver === null || has(index, driver) || matchAliases(index, [alias]).size > 0) return [];
    return [
      {
        kind: 'driver' as const,
        subject: alias,
        message: `the kernel ${index.version} has no driver for ${alias}, which ${driver} serves on the machine`,
      },
    ];
  });
}

function missingRoot(index: ModuleIndex, { root }: MachineProfile): ProfileFinding[] {
  const modules = new Contents().layers();
  const filesystems = root.filesystems.filter((name) => !has(index, name));
  const layers = root.layers.filter((layer) => {
    // The first of a layer's modules is the layer; the others, its parts.
    const [module = layer] = modules.get(layer) ?? [];
    return !has(index, module);
  });
  return [...filesystems, ...layers].map((subject) => ({
    kind: 'root' as const,
    subject,
    message: `the machine's root lies on ${subject}, which the kernel ${index.version} does not have`,
  }));
}

function has(index: ModuleIndex, name: string): boolean {
  return index.isBuiltin(name) || index.lookUp(name).length > 0;
}
