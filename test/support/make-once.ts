import { access, mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCK_EX, tryFlock } from '../../src/system/libc.ts';

/**
 * Makes a file once, whichever of several workers comes first, and returns its path. `make` writes to the path
 * that it is given, which is renamed when it is done: a file under its own name is always complete.
 */
export async function makeOnce(target: string, make: (aside: string) => Promise<void>): Promise<string> {
  if (await exists(target)) return target;
  await mkdir(path.dirname(target), { recursive: true });
  await using lock = await open(`${target}.lock`, 'w');
  // The kernel drops the lock with its holder, so a killed run blocks nobody.
  while (!tryFlock(lock.fd, LOCK_EX)) await sleep(200);
  if (await exists(target)) return target;
  const aside = `${target}.part`;
  await make(aside);
  await rename(aside, target);
  return target;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
