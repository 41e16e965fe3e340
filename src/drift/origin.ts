import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BootReport } from '../boot/boot-report.ts';
import { readMadeOn } from '../deploy/made-on.ts';
import { ImgbootError } from '../errors.ts';
import { parseDigest, type ChainId } from '../image/digest.ts';
import { chainLayers } from '../store/collect.ts';
import type { LayerName } from '../store/paths.ts';
import type { Store } from '../store/store.ts';
import type { Place } from './kept-root.ts';

/** Where the initramfs leaves names for the top layer of a boot in RAM, and for what is written. */
const RAM_TOP_LAYER = '/run/imgboot/toplayer';
const RAM_WRITTEN = '/run/imgboot/written';

/** What a writable layer was made of. */
export interface Origin {
  /** The image's root file system. */
  chainId: ChainId;
  /** The image's layers, topmost first. */
  chain: LayerName[];
  /**
   * The top layer over it: with btrfs a subvolume that has both, else a directory that is a layer; `unknown` where one was
   * applied and nothing tells any more what it was.
   */
  topLayer: { directory: string } | 'none' | 'unknown';
}

/**
 * What the initramfs has recorded of a writable layer. @see docs/boot.md, "In deployments/<name>/ of the store"
 * @throws IMGBOOT_NO_SUCH_ROOT where the image is gone, IMGBOOT_UNKNOWN_ORIGIN
 */
export async function originOf(store: Store, place: Place, layer: string): Promise<Origin> {
  if (layer === 'persistent') return originOfPersistent(store, place);
  const directory = join(place.directory, layer);
  const { chain, base } = await readMadeOn(store.driver.name, directory);
  if (chain === undefined) throw unknownOrigin(directory);
  return {
    ...imageOf(store, `sha256:${chain}`),
    topLayer: base === undefined ? 'none' : topLayerAt(store, base),
  };
}

function originOfPersistent(store: Store, place: Place): Origin {
  const path = join(place.directory, 'persistent');
  const chain = readLine(`${path}.chain`);
  if (chain === undefined) throw unknownOrigin(path);
  const origin = imageOf(store, chain);
  const has = readLine(`${path}.toplayer`) ?? 'none';
  const base = join(place.directory, `base.${has.replace(/^sha256:/, '')}.${origin.chain[0]}`);
  return { ...origin, topLayer: has === 'none' ? 'none' : topLayerAt(store, base) };
}

/** Of the running system, which is in RAM, and where that is. @throws IMGBOOT_NO_SUCH_ROOT, IMGBOOT_UNKNOWN_ORIGIN */
export function originOfRam(store: Store, report: BootReport): Origin & { directory: string } {
  if (!existsSync(RAM_WRITTEN)) throw unknownOrigin('the root in RAM');
  const topLayer = existsSync(RAM_TOP_LAYER) ? { directory: RAM_TOP_LAYER } : ('none' as const);
  return { ...imageOf(store, report.chain), topLayer, directory: RAM_WRITTEN };
}

function topLayerAt(store: Store, base: string): Origin['topLayer'] {
  const directory = join(base, ...(store.driver.name === 'btrfs' ? [] : ['upper']));
  return existsSync(directory) ? { directory } : 'unknown';
}

function imageOf(store: Store, text: unknown): Pick<Origin, 'chainId' | 'chain'> {
  const chainId = parseDigest(text) as string as ChainId;
  const chain = chainLayers(store, chainId);
  const needed = store.driver.name === 'btrfs' ? chain.slice(0, 1) : chain;
  if (needed.every((name) => existsSync(store.paths.layer(name)))) return { chainId, chain };
  throw new ImgbootError(
    'IMGBOOT_NO_SUCH_ROOT',
    `the root file system ${chainId} that it was made on is no longer in the store`,
    { hint: 'load or pull the image that it was booted from again' },
  );
}

function readLine(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

function unknownOrigin(path: string): ImgbootError {
  return new ImgbootError('IMGBOOT_UNKNOWN_ORIGIN', `${path} does not say what it was made on`, {
    hint: 'a boot of imgboot did not make it, or a much older one did',
  });
}
