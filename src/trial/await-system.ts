import { setTimeout as sleep } from 'node:timers/promises';
import { ImgbootError } from '../errors.ts';
import type { TrialGuest } from './trial.ts';

/** What systemd says of the system, once it has nothing left to start; `other`: its init is not systemd. */
export type SystemState = 'running' | 'degraded' | 'maintenance' | 'stopping' | 'other';

const POLL_MS = 500;
/** For a program that answers at once, in an emulated machine that starts everything else meanwhile. */
export const LOOK_SECONDS = 30;

/**
 * What the first process says. Before it has the machine, its root is another than that of who asks.
 * @see systemctl(1), is-system-running
 */
const script = `[ /proc/1/root/. -ef /. ] || exit 0
case $(readlink /proc/1/exe) in
  */systemd) systemctl is-system-running 2> /dev/null ;;
  *) echo other ;;
esac
:`;

const settled: ReadonlySet<string> = new Set(['running', 'degraded', 'maintenance', 'stopping', 'other']);

/** What the system says now; undefined while it starts. */
export async function readSystemState(
  guest: TrialGuest,
  signal?: AbortSignal,
): Promise<SystemState | undefined> {
  const { stdout } = await guest.run([...guest.shell, script], { limitSeconds: LOOK_SECONDS, signal });
  const state = stdout.toString().trim();
  return settled.has(state) ? (state as SystemState) : undefined;
}

/** Waits until a system has started. @throws IMGBOOT_SYSTEM_NOT_UP */
export async function awaitSystem(
  guest: TrialGuest,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<SystemState> {
  const end = performance.now() + timeoutMs;
  let before: SystemState | undefined;
  for (;;) {
    const state = await readSystemState(guest, signal);
    // On its way to the init, the first process is another for a moment.
    if (state !== undefined && (state !== 'other' || before === 'other')) return state;
    before = state;
    if (performance.now() >= end)
      throw new ImgbootError('IMGBOOT_SYSTEM_NOT_UP', `the system was not up within ${timeoutMs / 1000} s`);
    await sleep(POLL_MS, undefined, { signal });
  }
}
