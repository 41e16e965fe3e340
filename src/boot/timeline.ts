import { runCommand } from '../system/exec.ts';
import type { BootReport } from './boot-report.ts';

/** A part of a boot. Milliseconds since the kernel started; before that, negative. */
export interface Phase {
  name: string;
  /** Who was at work. */
  by: 'firmware' | 'loader' | 'kernel' | 'initramfs' | 'system';
  startMs: number;
  endMs: number;
}

/** Microseconds by the clocks of systemd's manager; zero where it does not know. @see org.freedesktop.systemd1(5) */
export interface ManagerTimes {
  /** How long before the kernel the firmware started, and the boot loader. */
  firmware: number;
  loader: number;
  /** Since the kernel started: the manager itself, and the end of the boot. */
  userspace: number;
  finish: number;
}

/** A boot from the firmware to its last unit, as far as the report and the manager know it. Pure. */
export function bootPhases(report: BootReport, manager?: ManagerTimes): Phase[] {
  const steps: Phase[] = report.steps.map((step) => ({ ...step, by: 'initramfs' }));
  const initStart = steps[0]?.startMs ?? 0;
  const initEnd = steps.at(-1)?.endMs ?? initStart;
  const { firmware, loader, userspace, finish } = manager ?? {
    firmware: 0,
    loader: 0,
    userspace: 0,
    finish: 0,
  };
  const phases: Phase[] = [
    { name: 'firmware', by: 'firmware', startMs: -firmware / 1000, endMs: -loader / 1000 },
    { name: 'boot loader', by: 'loader', startMs: -loader / 1000, endMs: 0 },
    { name: 'kernel', by: 'kernel', startMs: 0, endMs: initStart },
    ...steps,
    { name: 'switch_root', by: 'initramfs', startMs: initEnd, endMs: userspace / 1000 },
    { name: report.init ?? 'init', by: 'system', startMs: userspace / 1000, endMs: finish / 1000 },
  ];
  // Where a moment is not known, what begins or ends with it has no length, or a negative one.
  return phases.filter(({ startMs, endMs }) => endMs > startMs);
}

/** The times of the running system's manager; undefined where that is not systemd. */
export async function readManagerTimes(): Promise<ManagerTimes | undefined> {
  const names = ['Firmware', 'Loader', 'Userspace', 'Finish'].map((name) => `${name}TimestampMonotonic`);
  const asked = await runCommand('systemctl', ['show', ...names.map((name) => `--property=${name}`)]).catch(
    () => undefined,
  );
  if (asked === undefined) return undefined;
  const times = new Map(asked.stdout.split('\n').map((line) => line.split('=') as [string, string]));
  const [firmware, loader, userspace, finish] = names.map((name) => Number(times.get(name) ?? 0));
  return { firmware: firmware!, loader: loader!, userspace: userspace!, finish: finish! };
}
