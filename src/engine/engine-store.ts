import { ImgbootError, errnoOf } from '../errors.ts';
import { readFileSync } from 'node:fs';
import { chainIds } from '../image/chain-id.ts';
import { digestOf, type ChainId, type DiffId, type Digest } from '../image/digest.ts';
import type { Engine } from '../image/engine-name.ts';
import { parseConfig, type Config } from '../image/manifest.ts';

/** An image as another engine keeps it. */
export interface EngineImage {
  /** All its names there, with their tags. */
  names: string[];
  /** Digest of its config. */
  id: Digest;
  config: Config;
  /** The config, byte by byte. */
  configBytes: Buffer;
  driver: 'btrfs' | 'overlay';
  /** Bottom first. */
  layers: EngineLayer[];
}

export interface EngineLayer {
  diffId: DiffId;
  chainId: ChainId;
  /** A subvolume with the whole root file system (btrfs), or an upper directory (overlay). */
  directory: string;
  /** Of its files, as the engine counts them. */
  sizeBytes: number;
}

/** An image in a listing. */
export interface EngineImageSummary {
  names: string[];
  id: Digest;
  created: string | null;
  layers: number;
  driver: EngineImage['driver'];
}

/** Another engine's own store, which is only ever read. */
export interface EngineStore {
  readonly root: string;
  /** Those that have a name. */
  images(): EngineImageSummary[];
  /**
   * What a reference means there, and the name by which it is known; undefined where the reference is an ID.
   * @throws IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_AMBIGUOUS_ID, IMGBOOT_BROKEN_ENGINE_STORE
   */
  find(reference: string): { image: EngineImage; name: string | undefined };
}

/** What every image of a store has. @throws IMGBOOT_BROKEN_ENGINE_STORE where the bytes are not those of the ID */
export function readEngineConfig(
  configBytes: Buffer,
  id: Digest,
): { config: Config; chain: ChainId[]; diffIds: DiffId[] } {
  if (digestOf(configBytes) !== id) throw brokenStore(`the config of ${id} is not what its name says`);
  const config = parseConfig(configBytes, `config ${id}`);
  const diffIds = config.rootfs.diff_ids;
  return { config, diffIds, chain: chainIds(diffIds) };
}

/** @throws IMGBOOT_BROKEN_ENGINE_STORE where it is missing or no JSON */
export function readEngineJson(path: string): unknown {
  const bytes = readEngineFile(path);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw brokenStore(`${path} is no JSON`, cause);
  }
}

/** @throws IMGBOOT_BROKEN_ENGINE_STORE where it is missing */
export function readEngineFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    if (errnoOf(cause) === 'EACCES') throw cause;
    throw brokenStore(`${path} cannot be read`, cause);
  }
}

export function brokenStore(why: string, cause?: unknown): ImgbootError {
  return new ImgbootError('IMGBOOT_BROKEN_ENGINE_STORE', why, {
    cause,
    hint: 'an image may be half pulled, or was removed meanwhile: pull or build it again',
  });
}

export function noSuchEngineImage(
  { engine, root }: { engine: Engine; root: string },
  { reference, names }: { reference: string; names: readonly string[] },
): ImgbootError {
  const whose = engine === 'docker' ? "Docker's" : "Podman's";
  return new ImgbootError('IMGBOOT_NO_SUCH_IMAGE', `${whose} store ${root} has no image ${reference}`, {
    hint: names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`,
  });
}

export function ambiguousId(reference: string): ImgbootError {
  return new ImgbootError('IMGBOOT_AMBIGUOUS_ID', `${reference} is the start of several image IDs`, {
    hint: 'give more digits',
  });
}
