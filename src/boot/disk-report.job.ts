import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../system/exec.ts';
import { unmount } from '../system/libc.ts';
import { requireBootReport, type BootReport } from './boot-report.ts';
import { DISK_STORE, type DiskFilesystem } from './disk.ts';
import { identifyDisk } from './identify-disk.ts';

export interface DiskReportJob {
  disk: string;
  /** An empty directory. */
  mountPoint: string;
}

/** What keeps a mount from writing, be it the journal's changes. */
const readOnlyOptions: Readonly<Record<DiskFilesystem, string>> = {
  btrfs: 'ro,rescue=nologreplay',
  ext4: 'ro,noload',
};

export async function runJob({ disk, mountPoint }: DiskReportJob): Promise<BootReport | undefined> {
  const { filesystem } = await identifyDisk(disk);
  const options = `loop,${readOnlyOptions[filesystem]}`;
  await runCommand('mount', ['-t', filesystem, '-o', options, disk, mountPoint]);
  try {
    // Of images, and of versions of deployments.
    const [newest] = globSync(['*/boot.json', '*/[0-9]*/boot.json'], {
      cwd: join(mountPoint, DISK_STORE, 'deployments'),
    })
      .map((name) => join(mountPoint, DISK_STORE, 'deployments', name))
      .map((file) => ({ file, time: statSync(file).mtimeMs }))
      .toSorted((a, b) => b.time - a.time);
    return newest && requireBootReport(newest.file);
  } finally {
    unmount(mountPoint);
  }
}
