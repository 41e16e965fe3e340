import { readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { temporaryPrefix } from './paths.ts';

/**
 * Takes away what test runs that were killed have left: mounts, loop devices and directories under our own
 * temporary prefix whose owner is gone. Nothing else is touched. Idempotent.
 */
export async function sweepDeadRuns(): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const mountPoints = mounts
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mountPoint) => isLeftOver(mountPoint));
  for (const mountPoint of mountPoints.toReversed()) await execa('umount', [mountPoint]);
  await detachLoops();
  const parent = path.dirname(temporaryPrefix);
  for (const name of await readdir(parent)) {
    const directory = path.join(parent, name);
    if (isLeftOver(directory)) await rm(directory, { recursive: true });
  }
}

async function detachLoops(): Promise<void> {
  const { stdout } = await execa('losetup', [
    '--list',
    '--noheadings',
    '--raw',
    '--output',
    'NAME,BACK-FILE',
  ]);
  for (const line of stdout.split('\n')) {
    const [device = '', backingFile = ''] = line.split(' ');
    if (isLeftOver(backingFile)) await execa('losetup', ['--detach', device]);
  }
}

/** Whether a path lies in a temporary directory of ours whose owner's process is gone. */
function isLeftOver(file: string): boolean {
  if (!file.startsWith(temporaryPrefix)) return false;
  const owner = Number.parseInt(file.slice(temporaryPrefix.length), 10);
  return Number.isInteger(owner) && !isAlive(owner);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
