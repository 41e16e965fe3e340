import { existsSync } from 'node:fs';
import { findBoot, historyPaths, readBootHistory, type KeptBoot } from './boot-history.ts';
import { readBootReport, requireBootReport, type BootReport } from './boot-report.ts';
import { bootPhases, readManagerTimes, type ManagerTimes, type Phase } from './timeline.ts';

/** A boot, to be shown. */
export interface DescribedBoot {
  /** Of those in the store: which it is. */
  kept: Pick<KeptBoot, 'number' | 'time'> | undefined;
  /** What was booted, from where. */
  title: string;
  phases: Phase[];
}

/** @throws IMGBOOT_NO_REPORT where imgboot did not boot this system */
export async function describeRunningBoot(): Promise<DescribedBoot> {
  return describeReport(requireBootReport(), { manager: await readManagerTimes() });
}

/**
 * The boot of a number in the store, or of a report in a file.
 * @throws IMGBOOT_NO_SUCH_BOOT, IMGBOOT_NO_REPORT, IMGBOOT_BAD_REPORT
 */
export async function describeBoot(storePath: string, text: string): Promise<DescribedBoot> {
  if (!/^\d{1,8}$/.test(text) || existsSync(text)) return describeReport(requireBootReport(text));
  const boot = findBoot(readBootHistory(historyPaths(storePath)), Number(text));
  const isRunning = JSON.stringify(boot.report) === JSON.stringify(readBootReport());
  const manager = isRunning ? await readManagerTimes() : undefined;
  return describeReport(boot.report, { kept: boot, manager });
}

export function describeReport(
  report: BootReport,
  { kept, manager }: { kept?: KeptBoot; manager?: ManagerTimes | undefined } = {},
): DescribedBoot {
  const { deployment, reference, root, writable } = report;
  const kind = writable === undefined ? '' : `, ${writable.got}`;
  const of = deployment === undefined ? (reference ?? 'a plain root') : `${deployment.got}, ${reference}`;
  return {
    kept: kept && { number: kept.number, time: kept.time },
    title: `${of} from ${root.device} (${root.fstype})${kind}`,
    phases: bootPhases(report, manager),
  };
}
