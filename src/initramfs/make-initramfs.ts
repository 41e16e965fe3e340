import { AsideFile } from '../system/aside.ts';
import type { OperationOptions } from '../system/progress.ts';
import { epochSeconds } from '../system/timestamp.ts';
import type { ArchivePlan } from './archive-plan.ts';
import { ArchiveWriter } from './archive-writer.ts';
import { CAUSES_PATH, causesText } from './causes.ts';
import { compareMembers, digestMembers, type Comparison } from './compare.ts';
import { Compressor, type Compression } from './compression.ts';
import { sumByCause, type CauseRow } from './explain.ts';
import { planFirmware } from './firmware.ts';
import type { Include } from './include.ts';
import type { ModuleSelection } from './module-request.ts';
import { planInitramfs } from './plan-initramfs.ts';
import type { ProgramOrigin } from './programs.ts';
import { requireSize } from './size-limit.ts';

export interface InitramfsRequest {
  /** The directory that holds the root file system; it is only read, and nothing outside it is read through it. */
  root: string;
  /** As `uname -r` says it; needed where the image has several kernels. */
  kver?: string | undefined;
  modules: ModuleSelection;
  /** By default the best that the kernel can read. */
  compression?: Compression | undefined;
  /** Files of this machine. */
  includes?: readonly Include[] | undefined;
  /** More than this fails, and says what to leave out. */
  maxBytes?: number | undefined;
  /** An older initramfs to compare the new one with. */
  compareWith?: string | undefined;
  /** The file to write. */
  output: string;
  /** Where imgboot's hooks lie; its own by default. */
  hooksDir?: string | undefined;
}

export interface InitramfsReport {
  output: string;
  sizeBytes: number;
  /** Before compression. */
  archiveBytes: number;
  entryCount: number;
  kver: string;
  /** The kernel's image as a path inside the root, where one was found. */
  kernel: string | undefined;
  compression: Compression['format'];
  moduleCount: number;
  firmwareCount: number;
  /** Firmware that drivers name and the image does not have. */
  missingFirmware: string[];
  hasMicrocode: boolean;
  origin: ProgramOrigin;
  /** The bytes by what they are for, the largest first. */
  causes: CauseRow[];
  /** Where one was asked for. */
  comparison?: Comparison | undefined;
  /** What a user should know: files that are damaged or absent, rules that had no effect. */
  warnings: string[];
}

/**
 * Makes the initramfs for a kernel of a root file system. Same files and SOURCE_DATE_EPOCH: same bytes. The output
 * appears whole and durable, or the old one stays. Needs no root, only the right to read.
 * @throws IMGBOOT_NO_KERNEL, IMGBOOT_SEVERAL_KERNELS, IMGBOOT_NO_SUCH_KERNEL, IMGBOOT_NO_SUCH_MODULE,
 *   IMGBOOT_MISSING_PROGRAM, IMGBOOT_MISSING_LIBRARY, IMGBOOT_COMPRESSION_UNSUPPORTED, IMGBOOT_TOO_LARGE,
 *   IMGBOOT_CANNOT_READ, IMGBOOT_CANNOT_WRITE
 */
export async function makeInitramfs(
  request: InitramfsRequest,
  options: OperationOptions = {},
): Promise<InitramfsReport> {
  const { compareWith, output } = request;
  const old = compareWith === undefined ? undefined : await digestMembers(compareWith, options.signal);
  const made = await planInitramfs(request);
  const { plan, selected, kernel, warnings } = made;
  using out = AsideFile.create(output);
  const settings = { out, mtimeSeconds: epochSeconds() ?? 0, signal: options.signal };
  if (made.early !== undefined) {
    await writeArchive(made.early, { ...settings, compressor: new Compressor({ format: 'none' }, 0) });
  }
  const writer = await ArchiveWriter.create({
    ...settings,
    compressor: new Compressor(made.compression, plan.expectedBytes),
  });
  try {
    options.progress?.({ step: `packing ${selected.modules.length} modules of ${kernel.version}` });
    await writer.append(plan.take());
    // Only now is it known which firmware the modules name.
    const firmware = planFirmware(plan, made.tree, made.firmware);
    plan.addText(`/${CAUSES_PATH}`, causesText(plan.causes()));
    await writer.append(plan.take());
    await writer.finish();
    options.signal?.throwIfAborted();
    const { files } = writer;
    requireSize({ output, sizeBytes: out.sizeBytes, maxBytes: request.maxBytes, selected, files });
    out.publish();
    return {
      output,
      sizeBytes: out.sizeBytes,
      archiveBytes: writer.archiveBytes,
      entryCount: writer.entryCount,
      kver: kernel.version,
      kernel: kernel.image,
      compression: made.compression.format,
      moduleCount: selected.modules.length,
      firmwareCount: firmware.count,
      missingFirmware: firmware.missing,
      hasMicrocode: made.early !== undefined,
      origin: made.origin,
      causes: sumByCause(files),
      ...(old === undefined ? {} : { comparison: compareMembers(old, await digestMembers(output)) }),
      warnings,
    };
  } finally {
    await writer.abandon();
  }
}

async function writeArchive(
  plan: ArchivePlan,
  settings: Parameters<typeof ArchiveWriter.create>[0],
): Promise<void> {
  const writer = await ArchiveWriter.create(settings);
  try {
    await writer.append(plan.take());
    await writer.finish();
  } finally {
    await writer.abandon();
  }
}
