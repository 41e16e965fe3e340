import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../store/fsck.ts';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import { GONE_PREFIX, NEW_PREFIX, removeRemains, sweepContainers } from './cleanup.ts';
import { ContainerPaths } from './paths.ts';
import { listContainers, readContainer, type Container } from './record.ts';
import { isRunning } from './state.ts';

/**
 * What is not as it should be in a store's containers: remains of some that are gone, and starts that nobody has cleaned
 * up after. With `repair` it is taken away.
 */
export async function checkContainers(store: Store, { repair }: { repair: boolean }): Promise<Problem[]> {
  const problems: Problem[] = [
    ...remains(store).map((subject) => ({
      kind: 'container' as const,
      subject,
      message: 'it is no container, and nobody works on it',
      repaired: repair,
    })),
    ...listContainers(store)
      .filter(isUnclean)
      .map(({ record }) => ({
        kind: 'container' as const,
        subject: record.name,
        message: 'it has ended, and what it used was not given back',
        repaired: repair,
      })),
  ];
  if (!repair) return problems;
  for (const name of remains(store)) removeRemains(new ContainerPaths(join(store.paths.containers, name)));
  await sweepContainers(store);
  return problems;
}

/** Directories that are no whole container, and that nobody is making or removing. */
function remains(store: Store): string[] {
  const { containers } = store.paths;
  if (!existsSync(containers)) return [];
  return readdirSync(containers).filter((name) => {
    const paths = new ContainerPaths(join(containers, name));
    if (!name.startsWith(GONE_PREFIX) && !name.startsWith(NEW_PREFIX))
      return readContainer(paths) === undefined;
    return isFree(paths.lock);
  });
}

function isUnclean({ paths }: Container): boolean {
  return existsSync(paths.run) && !isRunning(paths) && isFree(paths.lock) && isFree(paths.attended);
}

function isFree(lockFile: string): boolean {
  if (!existsSync(lockFile)) return true;
  using lock = FileLock.tryAcquire(lockFile, 'exclusive');
  return lock !== undefined;
}
