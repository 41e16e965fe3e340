import { copyFileSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { makeInitramfs, type InitramfsReport, type InitramfsRequest } from '../initramfs/make-initramfs.ts';
import { openView, type ImageView } from '../store/view.ts';
import type { JobContext } from '../system/isolate.ts';
import { RootedTree } from '../system/rooted.ts';

export interface ImageInitramfsJob {
  view: ImageView;
  reference: string;
  initramfs: Omit<InitramfsRequest, 'root'>;
  kernelOutput: string | undefined;
}

export async function runJob(job: ImageInitramfsJob, { progress }: JobContext): Promise<InitramfsReport> {
  const root = openView(job.view);
  progress({ step: `making the initramfs of ${job.reference}` });
  const report = await makeInitramfs({ ...job.initramfs, root }, { progress });
  if (job.kernelOutput !== undefined)
    copyKernel(root, { report, reference: job.reference, output: job.kernelOutput });
  return report;
}

function copyKernel(
  root: string,
  { report, reference, output }: { report: InitramfsReport; reference: string; output: string },
): void {
  const tree = new RootedTree(root);
  const kernel = report.kernel === undefined ? undefined : tree.resolveFile(report.kernel);
  if (kernel === undefined) {
    throw new ImgbootError(
      'IMGBOOT_NO_KERNEL_IMAGE',
      `${reference} has the modules of kernel ${report.kver}, but no kernel image for them`,
      {
        hint: `put it at /boot/vmlinuz-${report.kver} or /usr/lib/modules/${report.kver}/vmlinuz`,
      },
    );
  }
  copyFileSync(tree.hostPath(kernel), output);
}
