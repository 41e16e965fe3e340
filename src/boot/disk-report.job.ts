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
    const [newest] = globSync(join(mountPoint, DISK_STORE, 'deployments/*/boot.json'))
      .map((file) => ({ file, time: statSync(file).mtimeMs }))
      .toSorted((a, b) => b.time - a.time);
    return newest && requireBootReport(newest.file);
  } finally {
    unmount(mountPoint);
  }
}
