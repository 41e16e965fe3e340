import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeReference } from '../image/reference.ts';
import type { DriverName } from '../store/driver.ts';
import type { LayerName } from '../store/paths.ts';
import { createSubvolume, setSubvolumeReadOnly } from '../system/btrfs.ts';
import { runCommand } from '../system/exec.ts';

/** A store with one version, as the initramfs reads it. @see docs/architecture.md 4.5, 4.7 */
export interface StoreContent {
  /** From the top of its file system. */
  path: string;
  driver: DriverName;
  /** Of the store that it is copied from. */
  layers: string;
  /** Topmost first. */
  chain: LayerName[];
  name: string;
  number: number;
  bootFile: string;
  /** Persistent directories: their paths in the root, and what they hold. */
  persist: { path: string; source: string }[];
}

/** The layers that a boot reads: on btrfs, one has all that is below it. */
export function layersToCopy({ driver, chain }: Pick<StoreContent, 'driver' | 'chain'>): LayerName[] {
  return driver === 'btrfs' ? chain.slice(0, 1) : chain;
}

/** Writes it to a file system that is mounted at `top`. */
export async function writeStoreContent(top: string, content: StoreContent): Promise<void> {
  const store = join(top, content.path);
  const deployment = join(store, 'deployments', content.name);
  const version = join(deployment, String(content.number));
  for (const directory of [version, join(store, 'boot'), join(store, 'layers')])
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(version, 'boot'), content.bootFile, { mode: 0o600 });
  for (const layer of layersToCopy(content)) {
    const target = join(store, 'layers', layer);
    if (content.driver === 'btrfs') createSubvolume(target);
    await copyDirectory(join(content.layers, layer), target);
    if (content.driver === 'btrfs') setSubvolumeReadOnly(target, true);
  }
  for (const { path, source } of content.persist) {
    const persist = join(deployment, 'persist');
    mkdirSync(persist, { recursive: true, mode: 0o700 });
    await copyDirectory(source, join(persist, encodeReference(path)));
  }
}

/** With all attributes, whiteouts and hard links. */
export async function copyDirectory(from: string, to: string): Promise<void> {
  await runCommand('cp', ['--archive', '--no-target-directory', '--', from, to]);
}
