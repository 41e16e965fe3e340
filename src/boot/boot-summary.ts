import { historyPaths, readBootHistory, type KeptBoot } from './boot-history.ts';
import { readBootReport } from './boot-report.ts';

/** A boot in a listing. */
export interface BootSummary {
  number: number;
  /** RFC 3339; null where the machine's clock was not set. */
  time: string | null;
  /** The version that was booted, or the image. */
  of: string;
  image: string | null;
  /** What its system wrote to: `ephemeral`, `persistent`, `previous`, `ram`. */
  writable: string | null;
  /** What kernel and initramfs took. */
  seconds: number | null;
  outcome: KeptBoot['outcome'];
  /** It is the one that runs. */
  running: boolean;
  /** What was not done as asked, and why. */
  fallbacks: string[];
}

/**
 * The boots whose reports are kept, the latest first.
 * @param name a deployment, a version of it, or an image; all where undefined
 */
export function listBoots(storePath: string, name: string | undefined): BootSummary[] {
  const running = JSON.stringify(readBootReport());
  return readBootHistory(historyPaths(storePath))
    .filter(
      ({ of }) => name === undefined || of === name || of.startsWith(`${name}/`) || of === `${name}:latest`,
    )
    .map(({ number, time, of, report, outcome }) => ({
      number,
      time,
      of,
      image: report.reference,
      writable: report.writable?.got ?? null,
      seconds: report.steps.length === 0 ? null : report.steps.at(-1)!.endMs / 1000,
      outcome,
      running: JSON.stringify(report) === running,
      fallbacks: report.fallbacks,
    }));
}
