import { readFileSync } from 'node:fs';
import { ImgbootError, errnoOf } from '../errors.ts';
import { chainIds } from '../image/chain-id.ts';
import { digestOf, type ChainId, type DiffId, type Digest } from '../image/digest.ts';
import {
  REF_NAME,
  parseConfig,
  parseManifest,
  type Config,
  type Descriptor,
  type Manifest,
} from '../image/manifest.ts';
import { layerName, type LayerName, type StorePaths } from './paths.ts';

export interface ImageLayer {
  /** The blob. */
  descriptor: Descriptor;
  diffId: DiffId;
  chainId: ChainId;
  /** Its directory in `layers/`. */
  name: LayerName;
}

/** An image of a store: its manifest and config, read and checked. */
export interface Image {
  /** Its name in the index; undefined for one that lost its name. */
  reference: string | undefined;
  /** The image ID: the digest of its config. */
  id: Digest;
  /** The manifest's descriptor in the index. */
  descriptor: Descriptor;
  manifest: Manifest;
  config: Config;
  /** Bottom first. */
  layers: ImageLayer[];
}

/** An image of the index that is damaged, and in what way. */
export class UnreadableImage {
  readonly descriptor: Descriptor;
  readonly error: ImgbootError;

  constructor(descriptor: Descriptor, error: ImgbootError) {
    this.descriptor = descriptor;
    this.error = error;
  }

  get name(): string {
    return this.descriptor.annotations?.[REF_NAME] ?? this.descriptor.digest;
  }
}

/** {@link readImage} where one damaged image must not keep the others from their work. */
export function tryReadImage(paths: StorePaths, descriptor: Descriptor): Image | UnreadableImage {
  try {
    return readImage(paths, descriptor);
  } catch (error) {
    if (error instanceof ImgbootError) return new UnreadableImage(descriptor, error);
    throw error;
  }
}

/** @throws IMGBOOT_BLOB_MISSING, IMGBOOT_DIGEST_MISMATCH, IMGBOOT_BAD_MANIFEST */
export function readImage(paths: StorePaths, descriptor: Descriptor): Image {
  const manifest = parseManifest(readBlob(paths, descriptor.digest), `manifest ${descriptor.digest}`);
  const config = parseConfig(readBlob(paths, manifest.config.digest), `config ${manifest.config.digest}`);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length) {
    throw new ImgbootError(
      'IMGBOOT_BAD_MANIFEST',
      `manifest ${descriptor.digest} has ${manifest.layers.length} layers and its config ${diffIds.length}`,
    );
  }
  const chain = chainIds(diffIds);
  return {
    reference: descriptor.annotations?.[REF_NAME],
    id: manifest.config.digest,
    descriptor,
    manifest,
    config,
    layers: manifest.layers.map((layer, index) => ({
      descriptor: layer,
      diffId: diffIds[index]!,
      chainId: chain[index]!,
      name: layerName(chain[index]!),
    })),
  };
}

/** Bytes of a small blob (a manifest or config), checked against its digest. */
export function readBlob(paths: StorePaths, digest: Digest): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(paths.blob(digest));
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new ImgbootError('IMGBOOT_BLOB_MISSING', `the store has lost the blob ${digest}`, {
      cause,
      hint: 'imgboot fsck says which images it belongs to; load or pull them again',
    });
  }
  if (digestOf(bytes) === digest) return bytes;
  throw new ImgbootError(
    'IMGBOOT_DIGEST_MISMATCH',
    `the blob ${digest} is damaged: its bytes have the digest ${digestOf(bytes)}`,
    {
      hint: 'load or pull the image again; imgboot fsck finds every damaged blob',
    },
  );
}
