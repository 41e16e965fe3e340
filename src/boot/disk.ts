import { randomUUID } from 'node:crypto';
import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { DiskJob } from './disk.job.ts';

/** File systems that a disk's root may have. */
export const diskFilesystems = ['btrfs', 'ext4'] as const;
export type DiskFilesystem = (typeof diskFilesystems)[number];

/** Where things lie on a disk that we make. */
export const DISK_STORE = '/imgboot';
export const DISK_TOP_LAYER = '/toplayer';

export interface DiskRequest extends OperationOptions {
  reference: string;
  /** The file: made when it is missing, else brought up to date. */
  path: string;
  filesystem: DiskFilesystem;
  /** Bytes of a new disk (sparse); enough for the image and some more when undefined. */
  sizeBytes: number | undefined;
  /** A directory whose files become the disk's top layer; an existing disk keeps its own when undefined. */
  topLayer: string | undefined;
}

export interface Disk {
  path: string;
  filesystem: DiskFilesystem;
  /** Of its file system. */
  uuid: string;
  hasTopLayer: boolean;
}

/** The label by which a disk of ours is known. */
export const DISK_LABEL = 'imgboot';

/** Room for the image's blobs and layers and for what a booted system writes. */
const SPARE_BYTES = 4 * 2 ** 30;

/**
 * Makes a disk with one file system, without a partition table, that has a store with the image. Needs root; no
 * device of the host's is touched but a loop device of its own.
 */
export async function makeDisk(store: Store, request: DiskRequest): Promise<Disk> {
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  const image = store.image(request.reference);
  const blobBytes = image.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0);
  const { progress, signal, ...rest } = request;
  const job: DiskJob = {
    ...rest,
    store: store.paths.root,
    scratch: workspace.path,
    uuid: randomUUID(),
    // Compressed blobs unpack to about three times their size.
    sizeBytes: request.sizeBytes ?? SPARE_BYTES + 4 * blobBytes,
  };
  return await runIsolated<DiskJob, Disk>(jobModule(import.meta.url, 'disk.job'), job, { progress, signal });
}
