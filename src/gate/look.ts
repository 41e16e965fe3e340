import type { TrialGuest } from '../trial/trial.ts';

/** What is seen of a version that boots. */
export interface Look {
  /** It has been found good: it has reached its target. @see hooks/lib/bless */
  isGood: boolean;
  /** Its init is systemd. */
  isSystemd: boolean;
  /** What systemd says of the system; empty while it cannot. @see systemctl(1), is-system-running */
  state: string;
}

/** For a program that answers at once, in an emulated machine that starts everything else meanwhile. */
const LIMIT_SECONDS = 60;

/** Before the init has the machine, the first process has another root than who asks. */
const lookScript = `[ /proc/1/root/. -ef /. ] || exit 0
{ read -r store; read -r version; } < /run/initramfs/bless.order
if [ -e "$store/deployments/$version/good" ]; then echo good; else echo new; fi
readlink /proc/1/exe
systemctl is-system-running 2> /dev/null`;

export async function lookAt(guest: TrialGuest, signal: AbortSignal | undefined): Promise<Look> {
  const [good, init = '', state = ''] = await lines(guest, lookScript, signal);
  return { isGood: good === 'good', isSystemd: init.endsWith('/systemd'), state };
}

/** Units that failed, and those that are started again and again. */
export async function failedUnits(guest: TrialGuest, signal: AbortSignal | undefined): Promise<string[]> {
  const list = 'systemctl list-units --plain --no-legend --full --no-pager';
  const script = `{ ${list} --failed; ${list} --type=service --state=auto-restart; } | while read -r unit _; do echo "$unit"; done`;
  return [...new Set(await lines(guest, script, signal))];
}

/**
 * What systemd was to start and could not, in its own words and order: a file system whose device never came is no unit
 * that failed, but one whose job did. Nothing where there is no journal. @see systemd.journal-fields(7), JOB_RESULT=
 */
export async function failedJobs(guest: TrialGuest, signal: AbortSignal | undefined): Promise<string[]> {
  const script = `journalctl --boot --quiet --no-pager --output=cat JOB_RESULT=timeout + JOB_RESULT=failed + JOB_RESULT=dependency`;
  return await lines(guest, script, signal);
}

/** What systemd is still waiting for. */
export async function runningJobs(guest: TrialGuest, signal: AbortSignal | undefined): Promise<string[]> {
  const script = `systemctl list-jobs --plain --no-legend --full --no-pager | while read -r _ unit _ state; do
    [ "$state" != running ] || echo "$unit"; done`;
  return await lines(guest, script, signal);
}

/** What there is to know of units that failed, for people. */
export async function describeUnits(
  guest: TrialGuest,
  units: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const words = [
    'systemctl',
    'status',
    '--no-pager',
    '--full',
    '--lines=8',
    '--',
    ...units.slice(0, SHOWN_UNITS),
  ];
  const { stdout } = await guest.run(words, { limitSeconds: LIMIT_SECONDS, signal });
  return stdout.toString().trimEnd().split('\n');
}

/** More are named, but not described. */
const SHOWN_UNITS = 3;

async function lines(guest: TrialGuest, script: string, signal: AbortSignal | undefined): Promise<string[]> {
  const { stdout } = await guest.run([...guest.shell, script], { limitSeconds: LIMIT_SECONDS, signal });
  return stdout
    .toString()
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}
