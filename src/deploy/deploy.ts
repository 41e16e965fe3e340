import { ImgbootError } from '../errors.ts';
import { checkWritable } from '../boot/command-line.ts';
import type { ModuleSelection } from '../initramfs/module-request.ts';
import type { Machine } from '../loader/machine.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { addVersion, type Deployed } from './add-version.ts';
import { Change } from './change.ts';
import type { Gate } from './gate.ts';
import { detectMachine, type MachineRequest } from './detect.ts';
import { checkPersistPath } from './persist.ts';
import { checkDeploymentName, nameOfImage } from './version-name.ts';

export type { Deployed } from './add-version.ts';

export interface DeployRequest extends OperationOptions {
  /** An image of the store. */
  reference: string;
  /** Of the deployment; made of the reference when undefined. One that is there gets a new version. */
  name?: string | undefined;
  /** What becomes of a boot's writes: `ephemeral`, `persistent`, `ram`, `ram:size=SIZE`. */
  writable: string;
  /** Words for the kernel command line. */
  append: readonly string[];
  /** `toplayer=...` and its relatives, as the kernel command line has them. */
  topLayer: readonly string[];
  /** Directories that outlive their image, seeded from it once: absolute paths. */
  persist: readonly string[];
  /** How many of the newest versions of this name are kept. */
  keep: number;
  /** What the initramfs can boot; any machine when undefined. */
  modules?: ModuleSelection | undefined;
  /** The kernel, where the image has several. */
  kver?: string | undefined;
  /**
   * For a store without deployments: where it is to be booted. Looked for on the running system when undefined; one
   * that is recorded already stays.
   */
  machine?: Machine | undefined;
  /** What of the running system is to be taken where it is looked for. */
  find?: MachineRequest | undefined;
  /** The version becomes the default only where this lets it. */
  gate?: Gate | undefined;
  /**
   * A directory that stands for the top of the loader's file system (of the root's own, where `machine.boot` is null),
   * such as one that becomes a file system later. That file system is found by its UUID when undefined.
   */
  bootDirectory?: string | undefined;
}

/**
 * Makes a version of a deployment from an image of the store, and makes it the default, at the end and at once. Killed
 * or powered off at any point, the old or the new is there. Needs root.
 * @throws IMGBOOT_USAGE, IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_NO_KERNEL, IMGBOOT_NO_KERNEL_IMAGE, IMGBOOT_NO_SPACE,
 *   IMGBOOT_NO_LOADER, IMGBOOT_UNSUPPORTED_FILESYSTEM
 */
export async function deployImage(store: Store, request: DeployRequest): Promise<Deployed> {
  const { progress, signal, bootDirectory } = request;
  const image = store.image(request.reference);
  const name = request.name === undefined ? nameOfImage(image) : checkDeploymentName(request.name);
  const settings = {
    reference: image.reference ?? image.id,
    writable: checkWritable(request.writable),
    append: [...request.append],
    topLayer: [...request.topLayer],
    persist: [...new Set(request.persist.map(checkPersistPath))],
  };
  const findMachine = async (): Promise<Machine> => request.machine ?? detectMachine(store, request.find);
  using change = await Change.begin(store, { findMachine, bootDirectory, progress, signal });
  requireLoader(change.deployments.machine, request.find?.loader);
  const { keep, modules, kver, gate } = request;
  return await addVersion(store, {
    change,
    name,
    image,
    settings,
    keep,
    modules,
    kver,
    gate,
    progress,
    signal,
  });
}

/** @throws IMGBOOT_USAGE where another loader is asked for than the deployments that are there have */
function requireLoader({ loader }: Machine, wanted: string | undefined): void {
  if (wanted === undefined || wanted === loader) return;
  throw new ImgbootError('IMGBOOT_USAGE', `what is deployed here is booted by ${loader}, not ${wanted}`, {
    hint: 'undeploy it first, or leave --loader out',
  });
}
