import { ImgbootError } from '../errors.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { BootReport } from './boot-report.ts';
import type { DiskReportJob } from './disk-report.job.ts';

/**
 * The report of the last boot of a disk that imgboot qemu kept; not a byte of the disk is written. Needs root.
 * @throws IMGBOOT_NOT_A_DISK, IMGBOOT_NO_REPORT
 */
export async function readDiskReport(disk: string, options: OperationOptions): Promise<BootReport> {
  await using directory = await TemporaryDirectory.create();
  const job: DiskReportJob = { disk, mountPoint: directory.path };
  const report = await runIsolated<DiskReportJob, BootReport | undefined>(
    jobModule(import.meta.url, 'disk-report.job'),
    job,
    options,
  );
  if (report !== undefined) return report;
  throw new ImgbootError('IMGBOOT_NO_REPORT', `${disk} has no report of a boot`, {
    hint: 'a boot into RAM leaves none; boot it once more with imgboot qemu --keep',
  });
}
