import { setTimeout as sleep } from 'node:timers/promises';
import type { TrialGuest } from '../trial/trial.ts';
import { describeUnits, failedJobs, failedUnits, lookAt, runningJobs, type Look } from './look.ts';
import type { PassedOver } from './part.ts';
import { judgeUnits } from './units.ts';

export interface WatchOptions {
  /** When the patience ends, as performance.now() has it. */
  end: number;
  /** Patterns of units that may fail. */
  allowed: readonly string[];
  passedOver: readonly PassedOver[];
  signal: AbortSignal | undefined;
}

/** How a boot went: it reached its target, or why not, with what there is to know of it, a line each. */
export type Outcome =
  { reached: true; passedOver: PassedOver[] } | { reached: false; why: string; details: string[] };

const POLL_MS = 1000;
/** From the moment when systemd has nothing left to start to that when the version has to be found good. */
const BLESS_MS = 20_000;

/**
 * Watches a version boot until it is found good and systemd has nothing left to start, or until that can no longer be.
 */
export async function watchBoot(guest: TrialGuest, options: WatchOptions): Promise<Outcome> {
  const { end, signal } = options;
  let idleSince: number | undefined;
  for (;;) {
    const look = await lookAt(guest, signal);
    if (look.isGood && !look.isSystemd) return { reached: true, passedOver: [] };
    if (look.state === 'maintenance')
      return await failed(guest, 'the system came up in emergency mode', options);
    const isIdle = look.state === 'running' || look.state === 'degraded';
    if (isIdle && look.isGood) return await judge(guest, options);
    const now = performance.now();
    idleSince = isIdle ? (idleSince ?? now) : undefined;
    if (idleSince !== undefined && now - idleSince > BLESS_MS)
      return await failed(
        guest,
        'the system has not reached its target, and does nothing to reach it',
        options,
      );
    if (now >= end) return await late(guest, look, options);
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function judge(guest: TrialGuest, options: WatchOptions): Promise<Outcome> {
  const { failed: units, passedOver } = judgeUnits(await failedUnits(guest, options.signal), options);
  if (units.length === 0) return { reached: true, passedOver };
  const why = units.length === 1 ? `${units[0]} failed` : `${units.length} units failed: ${units.join(', ')}`;
  return { reached: false, why, details: await describeUnits(guest, units, options.signal) };
}

async function failed(guest: TrialGuest, why: string, options: WatchOptions): Promise<Outcome> {
  const { signal } = options;
  const jobs = await failedJobs(guest, signal);
  const { failed: units } = judgeUnits(await failedUnits(guest, signal), options);
  const named = units.length === 0 ? '' : `; failed: ${units.join(', ')}`;
  const described = units.length === 0 ? [] : await describeUnits(guest, units, signal);
  return { reached: false, why: `${why}${named}`, details: [...jobs, ...described] };
}

async function late(guest: TrialGuest, look: Look, options: WatchOptions): Promise<Outcome> {
  const jobs = look.isSystemd ? await runningJobs(guest, options.signal) : [];
  const waiting = jobs.length === 0 ? '' : `; it still waits for ${jobs.join(', ')}`;
  return await failed(guest, `the system did not reach its target in time${waiting}`, options);
}
