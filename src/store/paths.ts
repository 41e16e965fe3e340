import { join } from 'node:path';
import { hexOf, type ChainId, type Digest } from '../image/digest.ts';
import { encodeReference } from '../image/reference.ts';

/** Hex digits of a ChainID that name a layer: 127 of them fit overlayfs's one page of mount options. */
const LAYER_NAME_DIGITS = 16;

/** Half-made layers lie beside their final place, because a read-only subvolume cannot change its directory. */
export const NEW_PREFIX = '.new-';

/** Layers on their way out, where their going takes time. */
export const DOOMED_PREFIX = `${NEW_PREFIX}doomed-`;

/** Where things lie in a store. @see docs/architecture.md 4.1 */
export class StorePaths {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** What makes a directory a store: its version and driver. */
  get settings(): string {
    return join(this.root, 'store.json');
  }
  get oci(): string {
    return join(this.root, 'oci');
  }
  get index(): string {
    return join(this.oci, 'index.json');
  }
  get blobs(): string {
    return join(this.oci, 'blobs/sha256');
  }
  get layers(): string {
    return join(this.root, 'layers');
  }
  get boot(): string {
    return join(this.root, 'boot');
  }
  get deployments(): string {
    return join(this.root, 'deployments');
  }
  /** What is deployed: the one authority, which src/deploy writes. */
  get deploymentsFile(): string {
    return join(this.root, 'deployments.json');
  }
  /** Reports of boots, which the initramfs keeps; made by the first. */
  get boots(): string {
    return join(this.root, 'boots');
  }
  /** Made by the first container. */
  get containers(): string {
    return join(this.root, 'containers');
  }
  /** The build cache; made by the first build. */
  get cache(): string {
    return join(this.root, 'cache');
  }
  /** What the files of build contexts had for digests. */
  get contentDigests(): string {
    return join(this.cache, 'content-digests');
  }
  /** The directories of `RUN --mount=type=cache`. */
  get cacheMounts(): string {
    return join(this.cache, 'mounts');
  }
  get tmp(): string {
    return join(this.root, 'tmp');
  }
  get locks(): string {
    return join(this.root, 'locks');
  }

  blob(digest: Digest): string {
    return join(this.blobs, hexOf(digest));
  }
  layer(name: LayerName): string {
    return join(this.layers, name);
  }
  layerRecord(name: LayerName): string {
    return join(this.layers, `${name}.json`);
  }
  bootFile(reference: string): string {
    return join(this.boot, encodeReference(reference));
  }
}

/** A layer's directory in `layers/`. */
export type LayerName = string & { readonly layerName: unique symbol };

export function layerName(chainId: ChainId): LayerName {
  return hexOf(chainId).slice(0, LAYER_NAME_DIGITS) as LayerName;
}
