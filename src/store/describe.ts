import type { HistoryEntry } from '../image/manifest.ts';
import type { Image, ImageLayer } from './image.ts';
import type { Store } from './store.ts';

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

/** One step of an image's history. */
export interface HistoryStep {
  created: string | null;
  createdBy: string;
  /** Bytes of its layer's blob; 0 for a step without a layer. */
  blobBytes: number;
  /** Its layer's digest; null for a step without a layer. */
  layer: string | null;
}

/** Latest step first. Layers that the history does not speak of are steps without words. */
export function imageHistory(image: Image): HistoryStep[] {
  const layers = [...image.layers];
  const steps = (image.config.history ?? []).map((entry) => {
    const layer = entry.empty_layer === true ? undefined : layers.shift();
    return historyStep(entry, layer);
  });
  return [...steps, ...layers.map((layer) => historyStep({}, layer))].toReversed();
}

/** The steps that made an image's layers, the lowest first. */
export function imageLayerSteps(image: Image): HistoryStep[] {
  return imageHistory(image)
    .filter(({ layer }) => layer !== null)
    .toReversed();
}

function historyStep(entry: HistoryEntry, layer: ImageLayer | undefined): HistoryStep {
  return {
    created: entry.created ?? null,
    createdBy: entry.created_by ?? '',
    blobBytes: layer?.descriptor.size ?? 0,
    layer: layer?.descriptor.digest ?? null,
  };
}

/** All that a store knows of an image. */
export function inspectImage(store: Store, image: Image): object {
  return {
    id: image.id,
    digest: image.descriptor.digest,
    names: store.names(image),
    created: image.config.created ?? null,
    architecture: image.config.architecture,
    os: image.config.os,
    config: image.config.config ?? {},
    layers: image.layers.map((layer) => ({
      digest: layer.descriptor.digest,
      mediaType: layer.descriptor.mediaType,
      blobBytes: layer.descriptor.size,
      diffId: layer.diffId,
      chainId: layer.chainId,
      path: store.paths.layer(layer.name),
    })),
    driver: store.driver.name,
  };
}
