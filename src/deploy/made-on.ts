import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DriverName } from '../store/driver.ts';
import { runCommand } from '../system/exec.ts';

/** What a writable layer was made on, as the initramfs records it. */
export interface MadeOn {
  /** The ChainID of the image's root file system, without `sha256:`; undefined where nothing says so. */
  chain: string | undefined;
  /** Image and top layer, merged, beside the layer; undefined where it was made on the image alone. */
  base: string | undefined;
}

/**
 * What a writable layer was made on.
 * @param directory the layer, in a version's or an image's directory
 * @see docs/boot.md, "In deployments/<name>/ of the store"
 */
export async function readMadeOn(driver: DriverName, directory: string): Promise<MadeOn> {
  const made =
    driver === 'btrfs' ? join(dirname(directory), 'made', await markOf(directory)) : join(directory, 'on');
  const [chain] = list(made);
  const [base] = chain === undefined ? [] : list(join(made, chain));
  return { chain, base: base === undefined ? undefined : join(dirname(directory), basename(base)) };
}

/** A subvolume's mark is what its file system calls it. */
async function markOf(subvolume: string): Promise<string> {
  const { stdout } = await runCommand('stat', ['--file-system', '--format=%i', '--', subvolume]);
  return stdout.trim();
}

function list(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
