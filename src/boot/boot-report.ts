import { readFileSync } from 'node:fs';
import { ImgbootError, errnoOf } from '../errors.ts';

/** Where the initramfs leaves its report. */
const BOOT_REPORT = '/run/imgboot/boot.json';

/** What a boot says it did. Written by hooks/lib/report.sh. @see docs/boot.md */
export interface BootReport {
  version: 1;
  /** When it was written, by the machine's clock, RFC 3339; older reports have none. */
  time?: string | null;
  /** The image's name; null when a plain root was booted. */
  reference: string | null;
  /** The image ID. */
  image: string | null;
  /** The ChainID of the file system that was booted. */
  chain: string | null;
  driver: 'btrfs' | 'overlay' | null;
  /**
   * Of a deployment: `imgboot.deployment=` as it was given, the version that was booted (`desktop/3`), and which boot it
   * is of one that is not yet found good; null where that is not counted.
   */
  deployment?: { asked: string; got: string; try: number | null };
  /** The store's path on the root's file system. */
  store: string | null;
  root: { asked: string | null; device: string | null; fstype: string | null };
  writable?: {
    asked: string | null;
    got: string | null;
    /** In the store; null in RAM. */
    layer: string | null;
    /** Of an ephemeral layer: what it is called when the next boot has set it aside, `ephemeral.<number>`. */
    number?: number;
    keep: number;
  };
  topLayer: { device: string | null; path: string | null; digest: string | null; files: number } | null;
  /** What was not done as asked, and why. */
  fallbacks: string[];
  init: string | null;
  /** Milliseconds since the kernel started. */
  steps: { name: string; startMs: number; endMs: number }[];
}

/** The report of the running system; undefined when imgboot did not boot it. @throws IMGBOOT_BAD_REPORT */
export function readBootReport(path = BOOT_REPORT): BootReport | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as BootReport;
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_BAD_REPORT', `the boot report ${path} cannot be read`, { cause });
  }
}

/** The report in a file, or of the running system. @throws IMGBOOT_NO_REPORT, IMGBOOT_BAD_REPORT */
export function requireBootReport(path?: string): BootReport {
  const report = readBootReport(path);
  if (report === undefined && path !== undefined)
    throw new ImgbootError('IMGBOOT_NO_REPORT', `there is no report ${path}`, {
      hint: 'name the file of a report, or the number of a boot that imgboot boots lists',
    });
  if (report === undefined) {
    throw new ImgbootError(
      'IMGBOOT_NO_REPORT',
      `this system was not booted by imgboot: there is no ${BOOT_REPORT}`,
      {
        hint: 'name a report that was kept from a system that was',
      },
    );
  }
  if (!Array.isArray(report.steps))
    throw new ImgbootError('IMGBOOT_BAD_REPORT', `${path ?? BOOT_REPORT} is no boot report: it has no steps`);
  return report;
}
