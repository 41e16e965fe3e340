import { readFileSync } from 'node:fs';
import { errnoOf } from '../errors.ts';

/** One process, for ever: a PID is used again, but not at the same moment of the same boot. */
export interface ProcessIdentity {
  pid: number;
  /** When it began, in clock ticks since the boot. @see proc(5), /proc/PID/stat, starttime */
  startTime: number;
  bootId: string;
}

/** Who has this PID now; undefined where nobody has, or only a process that has ended and is not reaped yet. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  return { pid, startTime: stat.startTime, bootId: bootId() };
}

/** Whether the very process still runs. */
export function isSameProcess(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  return identifyProcess(identity.pid)?.startTime === identity.startTime;
}

let knownBootId: string | undefined;

/** What the kernel calls this boot. */
export function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return knownBootId;
}

function readStat(pid: number): { state: string; startTime: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    // ESRCH: it ended between opening and reading.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
  // The program's name, in brackets, may itself have spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: Number(fields[19]) };
}
