import { setTimeout as sleep } from 'node:timers/promises';
import { ImgbootError } from '../errors.ts';
import type { OperationOptions } from '../system/progress.ts';
import { checkStep } from './check-step.ts';
import type { ProgramEnd, TrialGuest, TrialStep } from './trial.ts';

/** What became of a step. */
export interface StepReport {
  name: string;
  ok: boolean;
  seconds: number;
  /** What was not as expected, in words. */
  why?: string;
  /** What it printed last, where it was not as expected. */
  stdout?: string;
  stderr?: string;
}

/** Between two tries of a step. */
const RETRY_MS = 500;
/** Of what a failed step printed. */
const SHOWN_LINES = 25;

/**
 * Carries out steps one after the other, up to the first that is not as expected.
 * @param onStep called after each
 */
export async function runSteps(
  guest: TrialGuest,
  steps: readonly TrialStep[],
  { onStep, progress, signal }: OperationOptions & { onStep?: ((report: StepReport) => void) | undefined },
): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  for (const step of steps) {
    progress?.({ step: step.name });
    const report = await timed(step.name, async () => runStep(guest, step, signal));
    reports.push(report);
    onStep?.(report);
    if (!report.ok) break;
  }
  return reports;
}

/** Does something, and tells how long it took; a failure that is meant to be read is an outcome. */
export async function timed(
  name: string,
  act: () => Promise<Omit<StepReport, 'name' | 'seconds' | 'ok'>>,
): Promise<StepReport> {
  const start = performance.now();
  const outcome = await act().catch((error: unknown) => {
    if (!(error instanceof ImgbootError)) throw error;
    return { why: error.message };
  });
  const seconds = Math.round((performance.now() - start) / 10) / 100;
  return { name, ok: outcome.why === undefined, seconds, ...outcome };
}

async function runStep(
  guest: TrialGuest,
  step: TrialStep,
  signal: AbortSignal | undefined,
): Promise<Pick<StepReport, 'why' | 'stdout' | 'stderr'>> {
  const end = performance.now() + step.withinSeconds * 1000;
  for (;;) {
    const limitSeconds = Math.max(1, Math.ceil((end - performance.now()) / 1000));
    const result = await guest.run(step.words, { limitSeconds, signal });
    const why = checkStep(step, result);
    if (why === undefined) return {};
    if (!step.retry || performance.now() + RETRY_MS >= end) return { why, ...lastOf(result) };
    await sleep(RETRY_MS, undefined, { signal });
  }
}

function lastOf({ stdout, stderr }: ProgramEnd): { stdout: string; stderr: string } {
  const last = (bytes: Buffer): string =>
    bytes.toString().trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
  return { stdout: last(stdout), stderr: last(stderr) };
}
