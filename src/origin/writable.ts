import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readMadeOn } from '../deploy/made-on.ts';
import type { DriverName } from '../store/driver.ts';
import type { Level } from './levels.ts';

/** A writable layer as the initramfs makes them. @see docs/boot.md, "In deployments/<name>/ of the store" */
export interface WritableLayer {
  level: Level;
  /** Image and top layer, merged, where it was made on one; its name has the top layer's digest. */
  base: { level: Level; digest: string } | undefined;
}

/**
 * What a writable layer and the one that it was made on are as levels.
 * @param directory the layer, in a version's or an image's directory
 */
export async function readWritableLayer(driver: DriverName, directory: string): Promise<WritableLayer> {
  const { base } = await readMadeOn(driver, directory);
  return {
    level: levelOf(driver, directory),
    base: base === undefined ? undefined : baseOf(driver, base),
  };
}

function baseOf(driver: DriverName, directory: string): WritableLayer['base'] {
  if (!existsSync(directory)) return undefined;
  const hex = /^base\.([0-9a-f]{64})\./.exec(basename(directory))?.[1];
  return { level: levelOf(driver, directory), digest: `sha256:${hex}` };
}

function levelOf(driver: DriverName, directory: string): Level {
  return driver === 'btrfs'
    ? { directory, whole: true }
    : { directory: join(directory, 'upper'), whole: false };
}
