import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../errors.ts';
import { hasUnifiedCgroups, readCgroupFile } from './container-cgroup.ts';
import { containerState } from '../state.ts';
import type { Container } from '../record.ts';

/** What a container uses. */
export interface ContainerStats {
  id: string;
  name: string;
  /** Of one processor, over the time measured; 200 is two. */
  cpuPercent: number;
  /** All that it has used. */
  cpuSeconds: number;
  memoryBytes: number;
  /** The host's, where it has no limit. */
  memoryLimitBytes: number;
  pids: number;
  /** Unlimited when null. */
  pidsLimit: number | null;
  blockReadBytes: number;
  blockWriteBytes: number;
  /** Null with the host's network. */
  networkReceivedBytes: number | null;
  networkSentBytes: number | null;
}

/** Measures running containers over a span of time; those that end meanwhile are left out. */
export async function measureContainers(
  containers: readonly Container[],
  { spanMs, signal }: { spanMs: number; signal: AbortSignal },
): Promise<ContainerStats[]> {
  const before = new Map(containers.map((container) => [container, sample(container)]));
  await sleep(spanMs, undefined, { signal });
  return containers.flatMap((container) => {
    const [first, last] = [before.get(container), sample(container)];
    if (first === undefined || last === undefined) return [];
    const seconds = (last.at - first.at) / 1000;
    const { at: _at, ...stats } = last;
    return { ...stats, cpuPercent: (100 * (last.cpuSeconds - first.cpuSeconds)) / seconds };
  });
}

function sample(container: Container): (Omit<ContainerStats, 'cpuPercent'> & { at: number }) | undefined {
  const { record } = container;
  const { pid } = containerState(container);
  const read = (controller: string, name: string): string =>
    readCgroupFile(record.id, controller, name) ?? '';
  if (pid === 0) return undefined;
  const counts = hasUnifiedCgroups() ? unified(read) : legacy(read);
  return {
    at: performance.now(),
    id: record.id,
    name: record.name,
    ...counts,
    memoryLimitBytes: Math.min(counts.memoryLimitBytes, totalmem()),
    ...(record.network.names.includes('host')
      ? { networkReceivedBytes: null, networkSentBytes: null }
      : networkBytes(pid)),
  };
}

type Reader = (controller: string, name: string) => string;
type Counts = Omit<
  ContainerStats,
  'id' | 'name' | 'cpuPercent' | 'networkReceivedBytes' | 'networkSentBytes'
>;

/** @see Documentation/admin-guide/cgroup-v2.rst */
function unified(read: Reader): Counts {
  const memory = number(read('memory', 'memory.current'));
  const io = read('io', 'io.stat');
  const sum = (key: string): number =>
    [...io.matchAll(new RegExp(`\\b${key}=([0-9]+)`, 'g'))].reduce(
      (total, [, bytes]) => total + Number(bytes),
      0,
    );
  return {
    cpuSeconds: field(read('cpu', 'cpu.stat'), 'usage_usec') / 1e6,
    // Caches that the kernel can drop are nobody's use, as docker and podman count.
    memoryBytes: Math.max(0, memory - field(read('memory', 'memory.stat'), 'inactive_file')),
    memoryLimitBytes: limit(read('memory', 'memory.max')),
    pids: number(read('pids', 'pids.current')),
    pidsLimit: finite(limit(read('pids', 'pids.max'))),
    blockReadBytes: sum('rbytes'),
    blockWriteBytes: sum('wbytes'),
  };
}

/** @see Documentation/admin-guide/cgroup-v1/ */
function legacy(read: Reader): Counts {
  const memory = number(read('memory', 'memory.usage_in_bytes'));
  const io = read('blkio', 'blkio.throttle.io_service_bytes');
  const sum = (kind: string): number =>
    [...io.matchAll(new RegExp(`^[0-9:]+ ${kind} ([0-9]+)$`, 'gm'))].reduce(
      (total, [, bytes]) => total + Number(bytes),
      0,
    );
  return {
    cpuSeconds: number(read('cpuacct', 'cpuacct.usage')) / 1e9,
    memoryBytes: Math.max(0, memory - field(read('memory', 'memory.stat'), 'total_inactive_file')),
    memoryLimitBytes: limit(read('memory', 'memory.limit_in_bytes')),
    pids: number(read('pids', 'pids.current')),
    pidsLimit: finite(limit(read('pids', 'pids.max'))),
    blockReadBytes: sum('Read'),
    blockWriteBytes: sum('Write'),
  };
}

function networkBytes(pid: number): Pick<ContainerStats, 'networkReceivedBytes' | 'networkSentBytes'> {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EINVAL') throw error;
    text = '';
  }
  const rows = text
    .split('\n')
    .slice(2)
    .map((line) => line.trim().split(/[:\s]+/))
    .filter(([name = '']) => name !== '' && name !== 'lo');
  const sum = (column: number): number => rows.reduce((total, row) => total + Number(row[column]), 0);
  return { networkReceivedBytes: sum(1), networkSentBytes: sum(9) };
}

function number(text: string): number {
  return Number(text.trim() || 0);
}

function limit(text: string): number {
  return text.trim() === 'max' || text.trim() === '' ? Number.POSITIVE_INFINITY : Number(text);
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} ([0-9]+)$`, 'm').exec(text)?.[1] ?? 0);
}
