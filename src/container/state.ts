import { existsSync, readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../errors.ts';
import { isSameProcess, type ProcessIdentity } from '../system/process-identity.ts';
import { isFrozen } from './limits/container-cgroup.ts';
import type { Container } from './record.ts';
import type { ContainerPaths } from './paths.ts';

export type ContainerStatus = 'created' | 'running' | 'paused' | 'exited';

/** How a container is: all of it follows from what lies on the disk and which processes there are. */
export interface ContainerState {
  status: ContainerStatus;
  /** The first process's, as the host sees it; 0 when there is none. */
  pid: number;
  /** 128 and more for a signal; -1 where nobody saw it end, and 0 before. */
  exitCode: number;
  oomKilled: boolean;
  /** RFC 3339. */
  startedAt: string | null;
  finishedAt: string | null;
}

/** What is written once a start has succeeded. */
export interface StartRecord {
  process: ProcessIdentity;
  startedAt: string;
}

/** What a container whose end nobody saw has for an exit status. */
export const UNKNOWN_EXIT = -1;

export function containerState({ record, paths }: Container): ContainerState {
  const start = readStart(paths);
  if (start === undefined)
    return {
      status: 'created',
      pid: 0,
      exitCode: 0,
      oomKilled: false,
      startedAt: null,
      finishedAt: null,
    };
  const oomKilled = existsSync(paths.oom);
  const { startedAt } = start;
  if (isSameProcess(start.process)) {
    const status = isFrozen(record.id) ? 'paused' : 'running';
    return { status, pid: start.process.pid, exitCode: 0, oomKilled, startedAt, finishedAt: null };
  }
  const ended = readExit(paths);
  return {
    status: 'exited',
    pid: 0,
    exitCode: ended?.exitCode ?? UNKNOWN_EXIT,
    oomKilled,
    startedAt,
    finishedAt: ended?.finishedAt ?? null,
  };
}

/** Whether its process runs, be it frozen. */
export function isRunning(paths: ContainerPaths): boolean {
  const start = readStart(paths);
  return start !== undefined && isSameProcess(start.process);
}

export function readStart(paths: ContainerPaths): StartRecord | undefined {
  const text = readIfThere(paths.start);
  return text === undefined ? undefined : (JSON.parse(text) as StartRecord);
}

/** What conmon wrote when the container ended; undefined while it has not. */
export function readExit(paths: ContainerPaths): { exitCode: number; finishedAt: string } | undefined {
  const text = readIfThere(paths.exit);
  if (text === undefined) return undefined;
  return { exitCode: Number(text), finishedAt: statSync(paths.exit).mtime.toISOString() };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
