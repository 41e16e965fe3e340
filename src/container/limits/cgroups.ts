import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../errors.ts';

/** Who answers for a container: a process, and the name of its workspace. */
export interface ContainerOwner {
  pid: number;
  workspace: string;
}

/**
 * Names a container for the runtime and its cgroup. The process that answers for it is part of the name: once that is
 * gone, so must the cgroup be.
 */
export function containerId(owner: ContainerOwner, name: string | number): string {
  return `imgboot-${owner.pid}-${owner.workspace}-${name}`;
}

const CGROUPS = '/sys/fs/cgroup';
/** A container's last process is gone from its cgroup a moment after it is gone. */
const TRIES = 20;
const PAUSE_MS = 25;

/**
 * Removes the cgroups of containers whose owner is gone, or is `ended`: a runtime that is killed leaves them behind.
 * One with processes in it stays.
 */
export async function sweepCgroups(ended?: ContainerOwner): Promise<void> {
  const isDead = ({ pid, workspace }: ContainerOwner): boolean =>
    workspace === ended?.workspace || !existsSync(`/proc/${pid}`);
  for (const directory of containerCgroups(isDead)) {
    for (let tries = 1; tries <= TRIES && !remove(directory); tries += 1) await sleep(PAUSE_MS);
  }
}

/** In every hierarchy: each controller has its own in cgroup v1. */
function containerCgroups(isDead: (owner: ContainerOwner) => boolean): string[] {
  if (!existsSync(CGROUPS)) return [];
  const controllers = readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(CGROUPS, entry.name));
  return [CGROUPS, ...controllers].flatMap((hierarchy) =>
    readdirSync(hierarchy)
      .filter((name) => {
        const [, pid, workspace = ''] = /^imgboot-([0-9]+)-([0-9a-f]{12})-/.exec(name) ?? [];
        return pid !== undefined && isDead({ pid: Number(pid), workspace });
      })
      .map((name) => join(hierarchy, name)),
  );
}

/** @returns whether it is gone */
function remove(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    if (errnoOf(error) === 'EBUSY') return false;
    throw error;
  }
}
