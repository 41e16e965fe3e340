import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DISK_LABEL, DISK_STORE, DISK_TOP_LAYER, type DiskFilesystem } from '../boot/disk.ts';
import { deployImage, type Deployed, type DeployRequest } from '../deploy/deploy.ts';
import type { Machine } from '../loader/machine.ts';
import { withoutEngine } from '../image/engine-name.ts';
import { copyToStore } from '../store/copy.ts';
import { Store } from '../store/store.ts';
import { syncTree } from '../system/durable.ts';
import { runCommand } from '../system/exec.ts';
import { unmount } from '../system/libc.ts';
import type { Progress } from '../system/progress.ts';

/** How the image is deployed on the disk. */
export type DiskDeployment = Pick<
  DeployRequest,
  'reference' | 'name' | 'writable' | 'append' | 'persist' | 'keep' | 'modules' | 'kver'
>;

export interface RootRequest {
  /** The device, or a file of the right size. */
  device: string;
  filesystem: DiskFilesystem;
  uuid: string;
  /** An empty directory to mount at. */
  mountPoint: string;
  /** The store to take the image from. */
  store: string;
  deployment: DiskDeployment;
  /** A directory whose files become the disk's top layer. */
  topLayer: string | undefined;
  loader: Omit<Machine, 'root' | 'store' | 'storePath'>;
  /** The directory that becomes the ESP. */
  staging: string;
  progress: Progress;
}

/**
 * Makes the root's file system, with a store that has the image, deployed. Mounts: runs only in a mount namespace of
 * its own. What the loader is to read is in `staging` then.
 */
export async function writeRoot(request: RootRequest): Promise<Deployed> {
  const { device, filesystem, uuid, mountPoint, progress } = request;
  progress({ step: `making a ${filesystem} file system` });
  const force = filesystem === 'btrfs' ? '-f' : '-F';
  await runCommand(`mkfs.${filesystem}`, ['-q', force, '-U', uuid, '-L', DISK_LABEL, device]);
  mkdirSync(mountPoint, { recursive: true });
  const options = statSync(device).isBlockDevice() ? [] : ['-o', 'loop'];
  await runCommand('mount', ['-t', filesystem, ...options, device, mountPoint]);
  try {
    const deployed = await fillRoot(request);
    progress({ step: 'writing the disk' });
    syncTree(mountPoint);
    return deployed;
  } finally {
    unmount(mountPoint);
  }
}

async function fillRoot(request: RootRequest): Promise<Deployed> {
  const { deployment, uuid, filesystem, mountPoint, progress } = request;
  const source = Store.open(request.store);
  const image = source.image(deployment.reference);
  const target = Store.openOrCreate(join(mountPoint, DISK_STORE), undefined);
  await copyToStore(source, target, { reference: deployment.reference, progress });
  const topLayer = join(mountPoint, DISK_TOP_LAYER);
  if (request.topLayer !== undefined)
    await runCommand('cp', ['--archive', '--no-target-directory', '--', request.topLayer, topLayer]);
  return await deployImage(target, {
    ...deployment,
    // In the new store, it may have got one where it had none.
    reference: withoutEngine(image.reference ?? image.id),
    topLayer:
      request.topLayer === undefined ? [] : [`toplayer=UUID=${uuid}`, `toplayer_path=${DISK_TOP_LAYER}`],
    machine: {
      root: [`root=UUID=${uuid}`, `rootfstype=${filesystem}`],
      store: DISK_STORE,
      storePath: DISK_STORE,
      ...request.loader,
    },
    bootDirectory: request.staging,
    progress,
  });
}
