import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../errors.ts';
import { cgroupProcesses } from './limits/container-cgroup.ts';
import { requireRunning } from './foreground.ts';
import type { Container } from './record.ts';

/** A process of a container. */
export interface ContainerProcess {
  /** As the container sees them. */
  pid: number;
  parentPid: number;
  /** As the host sees it. */
  hostPid: number;
  /** The host's number. */
  uid: number;
  cpuSeconds: number;
  /** How long it has been running. */
  elapsedSeconds: number;
  command: string;
}

/** The kernel's unit of times in /proc, on every architecture that Node runs on. proc(5), sysconf(_SC_CLK_TCK) */
const TICKS_PER_SECOND = 100;

/** The processes of a running container, in the order of their PIDs. @throws IMGBOOT_NOT_RUNNING */
export function containerProcesses(container: Container): ContainerProcess[] {
  requireRunning(container);
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  const known = cgroupProcesses(container.record.id).flatMap((hostPid) => describe(hostPid, uptime) ?? []);
  const inside = new Map(known.map(({ hostPid, pid }) => [hostPid, pid]));
  return known
    .map(({ hostParent, ...process }) => ({ ...process, parentPid: inside.get(hostParent) ?? 0 }))
    .sort((a, b) => a.pid - b.pid);
}

function describe(
  hostPid: number,
  uptime: number,
): (Omit<ContainerProcess, 'parentPid'> & { hostParent: number }) | undefined {
  try {
    const status = readFileSync(`/proc/${hostPid}/status`, 'utf8');
    const stat = readFileSync(`/proc/${hostPid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const words = readFileSync(`/proc/${hostPid}/cmdline`, 'utf8').split('\0').filter(Boolean);
    const number = (name: string): number[] =>
      (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/).map(Number);
    return {
      pid: number('NSpid').at(-1)!,
      hostPid,
      hostParent: number('PPid')[0]!,
      uid: statSync(`/proc/${hostPid}`).uid,
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
      elapsedSeconds: Math.max(0, uptime - Number(fields[19]) / TICKS_PER_SECOND),
      // A kernel's thread, or one that has ended, has no words.
      command: words.length > 0 ? words.join(' ') : `[${/\((.*)\)/s.exec(stat)?.[1] ?? ''}]`,
    };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}
