import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DiskFilesystem } from '../boot/disk.ts';
import type { Deployed } from '../deploy/deploy.ts';
import { checkDeploymentName, nameOfImage } from '../deploy/version-name.ts';
import { defaultModuleSelection } from '../initramfs/module-request.ts';
import type { Store } from '../store/store.ts';
import { viewOf } from '../store/view.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { BootLoader } from './boot-loader.ts';
import type { DiskJob } from './disk.job.ts';
import { MEBIBYTE, planLayout } from './layout.ts';
import type { DiskDeployment } from './root.ts';

/** What a disk is to have, wherever it is. */
export interface DiskContent {
  filesystem: DiskFilesystem;
  loader: BootLoader;
  deployment: DiskDeployment;
  /** A directory whose files become the disk's top layer. */
  topLayer: string | undefined;
  /** Encrypts the root. */
  luks: { passphrase: string; iterMs: number } | undefined;
}

/** Room for kernel, initramfs and what a booted system writes at once. */
const WORKING_BYTES = 320 * MEBIBYTE;

/** Bytes that the root of a disk with an image needs. */
export function neededBytes(store: Store, reference: string): number {
  const blobs = store.image(reference).layers.reduce((sum, layer) => sum + layer.descriptor.size, 0);
  // Compressed blobs unpack to about three times their size.
  return 4 * blobs + WORKING_BYTES;
}

/**
 * Writes partition table, loader, store and deployment to a file of the right size, or to a device.
 * @param target.content a file for the content of an encrypted root meanwhile; one in the store when undefined
 */
export async function writeDisk(
  store: Store,
  target: { path: string; sizeBytes: number; sectorBytes: number; content?: string | undefined },
  disk: DiskContent & OperationOptions,
): Promise<Deployed> {
  const { deployment, loader, luks, progress, signal } = disk;
  const image = store.image(deployment.reference);
  // Before anything is written.
  if (deployment.name === undefined) nameOfImage(image);
  else checkDeploymentName(deployment.name);
  const layout = planLayout({
    sizeBytes: target.sizeBytes,
    rootBytes: neededBytes(store, deployment.reference),
    loader: loader.name,
    firmware: loader.firmware,
  });
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', disk);
  const job: DiskJob = {
    disk: target.path,
    sectorBytes: target.sectorBytes,
    layout,
    loader,
    view: viewOf(store, image, workspace),
    store: store.paths.root,
    deployment: { ...deployment, modules: modulesFor(disk) },
    topLayer: disk.topLayer,
    filesystem: disk.filesystem,
    rootUuid: randomUUID(),
    espUuid: randomBytes(4).toString('hex').toUpperCase().replace(/^..../, '$&-'),
    luks:
      luks === undefined
        ? undefined
        : { ...luks, uuid: randomUUID(), content: target.content ?? join(workspace.path, 'content') },
    scratch: workspace.path,
  };
  return await runIsolated<DiskJob, Deployed>(jobModule(import.meta.url, 'disk.job'), job, {
    progress,
    signal,
    ownProcesses: true,
  });
}

/** An encrypted root needs what opens it. */
function modulesFor({ deployment, luks, filesystem }: DiskContent): DiskDeployment['modules'] {
  const modules = deployment.modules ?? defaultModuleSelection;
  const layers = luks === undefined ? [] : ['dm-crypt'];
  return { ...modules, roots: [{ filesystems: [filesystem], layers }] };
}
