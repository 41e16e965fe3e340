import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { StorePaths } from '../store/paths.ts';
import { Store } from '../store/store.ts';
import { readBootReport, type BootReport } from './boot-report.ts';

/** A boot whose report the store has. */
export interface KeptBoot {
  /** No other boot of the store has it. */
  number: number;
  /** The version that was booted, or the image. */
  of: string;
  report: BootReport;
  /** When its system began, by the machine's clock; null where that was not set. */
  time: string | null;
  /** When the report was written, by the clock of the store's file system. */
  writtenMs: number;
  /**
   * `good`: it was found good; `counted`: it was counted, and never found good; `uncounted`: its version was good
   * already, or it has none.
   */
  outcome: 'good' | 'counted' | 'uncounted';
}

/** No machine's clock is before; one without a battery begins long before it. */
const CLOCK_IS_SET = Date.parse('2024-01-01T00:00:00Z');

/** The boots whose reports a store has, the latest first. What power has left half-written is passed over. */
export function readBootHistory(paths: StorePaths): KeptBoot[] {
  if (!existsSync(paths.boots)) return [];
  return readdirSync(paths.boots, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(paths.boots, name))
    .flatMap((directory) => readdirSync(directory).map((file) => join(directory, file)))
    .flatMap((file) => readKeptBoot(file) ?? [])
    .toSorted((a, b) => b.number - a.number);
}

/**
 * Where the reports of a store are. A machine that boots from another engine's store has them without having a store.
 * @throws IMGBOOT_NO_STORE, IMGBOOT_NEEDS_ROOT
 */
export function historyPaths(storePath: string): StorePaths {
  const paths = new StorePaths(storePath);
  return existsSync(paths.boots) ? paths : Store.open(storePath).paths;
}

/** @throws IMGBOOT_NO_SUCH_BOOT, naming those there are */
export function findBoot(boots: readonly KeptBoot[], number: number): KeptBoot {
  const found = boots.find((boot) => boot.number === number);
  if (found !== undefined) return found;
  throw new ImgbootError('IMGBOOT_NO_SUCH_BOOT', `the store has no report of boot ${number}`, {
    hint:
      boots.length === 0
        ? 'it has none of any boot'
        : `imgboot boots lists them: ${boots.at(-1)!.number} to ${boots[0]!.number}`,
  });
}

function readKeptBoot(file: string): KeptBoot | undefined {
  const number = /\/(\d{1,8})\.json$/.exec(file)?.[1];
  if (number === undefined) return undefined;
  const report = readWhole(file);
  const stats = statSync(file, { throwIfNoEntry: false });
  if (report === undefined || stats === undefined) return undefined;
  const { deployment, reference, root } = report;
  const isGood = existsSync(file.replace(/json$/, 'good'));
  const isCounted = typeof deployment?.try === 'number';
  return {
    number: Number(number),
    of: deployment?.got ?? reference ?? root.device ?? '',
    report,
    time: timeOf(report),
    writtenMs: stats.mtimeMs,
    outcome: isGood ? 'good' : isCounted ? 'counted' : 'uncounted',
  };
}

function readWhole(file: string): BootReport | undefined {
  try {
    const report = readBootReport(file);
    return report !== null && Array.isArray(report?.steps) && typeof report.root === 'object'
      ? report
      : undefined;
  } catch (error) {
    if (error instanceof ImgbootError && error.code === 'IMGBOOT_BAD_REPORT') return undefined;
    throw error;
  }
}

function timeOf({ time }: BootReport): string | null {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return ms >= CLOCK_IS_SET ? new Date(ms).toISOString() : null;
}
