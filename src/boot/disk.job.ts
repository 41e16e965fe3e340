import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { copyToStore } from '../store/copy.ts';
import { Store } from '../store/store.ts';
import { runCommand } from '../system/exec.ts';
import type { JobContext } from '../system/isolate.ts';
import { unmount } from '../system/libc.ts';
import type { Progress } from '../system/progress.ts';
import { removeTree } from '../system/remove-tree.ts';
import { DISK_LABEL, DISK_STORE, DISK_TOP_LAYER, type Disk, type DiskFilesystem } from './disk.ts';
import { identifyDisk } from './identify-disk.ts';

export interface DiskJob {
  store: string;
  reference: string;
  path: string;
  filesystem: DiskFilesystem;
  /** For the file system of a new disk. */
  uuid: string;
  sizeBytes: number;
  topLayer: string | undefined;
  scratch: string;
}

export async function runJob(job: DiskJob, { progress }: JobContext): Promise<Disk> {
  const fresh = !existsSync(job.path);
  try {
    if (fresh) await format(job, progress);
    const { filesystem, uuid } = await identifyDisk(job.path);
    const mountPoint = join(job.scratch, 'mount');
    mkdirSync(mountPoint);
    // mount(8) has the kernel free the loop device with the last use, be it that this process is killed.
    await runCommand('mount', ['-t', filesystem, '-o', 'loop', job.path, mountPoint]);
    try {
      const target = Store.openOrCreate(join(mountPoint, DISK_STORE), undefined);
      await copyToStore(Store.open(job.store), target, { reference: job.reference, progress });
      if (job.topLayer !== undefined) await putTopLayer(job.topLayer, join(mountPoint, DISK_TOP_LAYER));
      return { path: job.path, filesystem, uuid, hasTopLayer: existsSync(join(mountPoint, DISK_TOP_LAYER)) };
    } finally {
      progress({ step: 'writing the disk' });
      unmount(mountPoint);
    }
  } catch (error) {
    if (fresh) rmSync(job.path, { force: true });
    throw error;
  }
}

async function format({ path, filesystem, uuid, sizeBytes }: DiskJob, progress: Progress): Promise<void> {
  progress({ step: `making a ${filesystem} file system` });
  const fd = openSync(path, 'wx', 0o600);
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  await runCommand(`mkfs.${filesystem}`, ['-q', '-U', uuid, '-L', DISK_LABEL, path]);
}

/** Replaces the disk's top layer: what the directory does not have any more goes. */
async function putTopLayer(from: string, to: string): Promise<void> {
  removeTree(to);
  await runCommand('cp', ['--archive', '--no-target-directory', '--', from, to]);
}
