import { existsSync, readFileSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../errors.ts';
import { hexOf, parseDigest, type ChainId } from '../image/digest.ts';
import { isSubvolume, subvolumeUuid } from '../system/btrfs.ts';
import { BuildCache } from './build-cache.ts';
import { deployedVersions } from './deployed.ts';
import { UnreadableImage, tryReadImage } from './image.ts';
import { readIndex } from './index-file.ts';
import { NEW_PREFIX, layerName, type LayerName } from './paths.ts';
import type { Store } from './store.ts';
import type { LayerRecord } from './unpack.ts';

/** What nothing refers to any more. */
export interface Garbage {
  /** Hex digests of blobs. */
  blobs: string[];
  layers: LayerName[];
  /** Bytes of the blobs. */
  blobBytes: number;
}

/** The boot report of the running system. @see docs/architecture.md 4.3 step 7 */
const BOOT_REPORT = '/run/imgboot/boot.json';

/**
 * Finds the blobs and layers that no image, deployment, persistent writable layer, container or running system refers to; without
 * `keepsCache`, nor the build cache alone.
 */
export function findGarbage(store: Store, { keepsCache = true }: { keepsCache?: boolean } = {}): Garbage {
  const used = keepsCache ? new BuildCache(store.paths).used() : new Set<string>();
  for (const descriptor of readIndex(store.paths).manifests) {
    used.add(hexOf(descriptor.digest));
    const image = tryReadImage(store.paths, descriptor);
    // What a damaged image needs cannot be told: loaded again, or removed, it keeps nothing from being collected.
    if (image instanceof UnreadableImage) return { blobs: [], layers: [], blobBytes: 0 };
    used.add(hexOf(image.id));
    for (const layer of image.layers) used.add(hexOf(layer.descriptor.digest)).add(layer.name);
  }
  for (const chainId of chainsInUse(store)) for (const name of chainLayers(store, chainId)) used.add(name);
  const blobs = readdirSync(store.paths.blobs).filter((name) => !used.has(name));
  const layers = readdirSync(store.paths.layers).filter(
    (name) => !name.startsWith(NEW_PREFIX) && !name.endsWith('.json') && !used.has(name),
  );
  const blobBytes = blobs.reduce((sum, name) => sum + statSync(join(store.paths.blobs, name)).size, 0);
  return { blobs, layers: layers as LayerName[], blobBytes };
}

/** Deletes garbage. The caller holds the content lock exclusively. Killed in between, the next call goes on. */
export function removeGarbage(store: Store, garbage: Garbage): void {
  for (const name of garbage.layers) {
    if (isOurs(store, name)) store.driver.remove(store.paths.layer(name));
  }
  for (const file of readdirSync(store.paths.layers)) {
    const name = file.replace(/\.json$/, '') as LayerName;
    if (file.endsWith('.json') && !existsSync(store.paths.layer(name)))
      unlinkSync(join(store.paths.layers, file));
  }
  for (const name of garbage.blobs) unlinkSync(join(store.paths.blobs, name));
}

/** Whether a directory in `layers` is one that we made: a foreign subvolume is never deleted. */
function isOurs(store: Store, name: LayerName): boolean {
  const record = readRecord(store, name);
  if (record === undefined) return false;
  return (
    record.uuid === null ||
    (isSubvolume(store.paths.layer(name)) && subvolumeUuid(store.paths.layer(name)) === record.uuid)
  );
}

/** What is kept beside a layer; undefined when there is nothing or it cannot be read. */
export function readRecord(store: Store, name: LayerName): LayerRecord | undefined {
  try {
    return JSON.parse(readFileSync(store.paths.layerRecord(name), 'utf8')) as LayerRecord;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The file systems that deployments, persistent writable layers, containers and the running system stand on. */
function chainsInUse(store: Store): ChainId[] {
  const { containers, deployments } = store.paths;
  const files = [
    ...readdirSync(deployments).map((name) => join(deployments, name, 'persistent.chain')),
    ...(existsSync(containers) ? readdirSync(containers) : []).map((name) => join(containers, name, 'chain')),
  ];
  const texts = files.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8').trim());
  if (existsSync(BOOT_REPORT)) {
    const report = JSON.parse(readFileSync(BOOT_REPORT, 'utf8')) as { chain?: string | null };
    if (typeof report.chain === 'string') texts.push(report.chain);
  }
  texts.push(...deployedVersions(store.paths).map(({ chain }) => chain));
  return texts.map((text) => parseDigest(text) as string as ChainId);
}

/** The layers that a root file system is made of, topmost first, as their records have it. */
export function chainLayers(store: Store, chainId: ChainId): LayerName[] {
  const names: LayerName[] = [];
  for (let at: ChainId | null = chainId; at !== null;) {
    const name = layerName(at);
    names.push(name);
    at = readRecord(store, name)?.parent ?? null;
  }
  return names;
}
