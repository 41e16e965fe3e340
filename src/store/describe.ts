import type { Image } from './image.ts';

/** An image in a listing. */
export interface ImageSummary {
  repository: string | null;
  tag: string | null;
  id: string;
  /** The manifest's digest. */
  digest: string;
  created: string | null;
  layers: number;
  /** Bytes of all its layer blobs, as they are stored. */
  blobBytes: number;
}

export function describeImage(image: Image): ImageSummary {
  const colon = image.reference?.lastIndexOf(':') ?? -1;
  return {
    repository: image.reference?.slice(0, colon) ?? null,
    tag: image.reference?.slice(colon + 1) ?? null,
    id: image.id,
    digest: image.descriptor.digest,
    created: image.config.created ?? null,
    layers: image.layers.length,
    blobBytes: image.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0),
  };
}
