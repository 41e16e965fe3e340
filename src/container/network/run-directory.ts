import { createHash } from 'node:crypto';
import { mkdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../errors.ts';

const ROOT = '/run/imgboot/networks';

/** Where what belongs to the whole machine is kept until the next boot. */
export function machineRunDirectory(): string {
  mkdirSync(ROOT, { recursive: true, mode: 0o700 });
  return ROOT;
}

/**
 * Where what lives until the next boot is kept, for the network namespace that this process is in: another one has
 * bridges and a firewall of its own.
 */
export function runDirectory(): string {
  return join(ROOT, /[0-9]+/.exec(readlinkSync('/proc/self/ns/net'))![0]);
}

/** The same for one store: its name server's files. */
export function storeRunDirectory(storeRoot: string): string {
  return join(runDirectory(), createHash('sha256').update(storeRoot).digest('hex').slice(0, 12));
}

/** Removes the directory of this network namespace, where nothing is kept in it. */
export function removeIdleRunDirectory(): void {
  try {
    rmdirSync(runDirectory());
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'ENOENT') throw error;
  }
}
