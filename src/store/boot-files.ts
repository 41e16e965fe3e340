import { existsSync } from 'node:fs';
import { REF_NAME, type Index } from '../image/manifest.ts';
import { encodeReference } from '../image/reference.ts';
import type { DriverName } from './driver.ts';
import { UnreadableImage, tryReadImage, type Image } from './image.ts';
import type { StorePaths } from './paths.ts';

/**
 * What the initramfs reads of each named image, by file name. An image that is damaged, or whose layers are not all
 * there, has no file: it cannot be booted. @see docs/architecture.md 4.5
 */
export function bootFiles(
  store: { paths: StorePaths; driver: DriverName },
  index: Index,
): Map<string, string> {
  const files = new Map<string, string>();
  for (const descriptor of index.manifests) {
    const reference = descriptor.annotations?.[REF_NAME];
    if (reference === undefined) continue;
    const image = tryReadImage(store.paths, descriptor);
    if (image instanceof UnreadableImage) continue;
    if (image.layers.every((layer) => existsSync(store.paths.layer(layer.name)))) {
      files.set(encodeReference(reference), bootFile(image, { reference, driver: store.driver }));
    }
  }
  return files;
}

function bootFile(image: Image, { reference, driver }: { reference: string; driver: DriverName }): string {
  const chain = image.layers.at(-1)?.chainId ?? '';
  const layers = image.layers.toReversed().map((layer) => layer.name);
  return `${bootLines({ reference, image: image.id, driver, chain, layers }).join('\n')}\n`;
}

/**
 * What every boot file says of an image.
 * @param boot.layers names in `layers/`, topmost first
 */
export function bootLines(boot: {
  reference: string;
  image: string;
  driver: DriverName;
  chain: string;
  layers: readonly string[];
}): string[] {
  return [
    'version=1',
    `reference=${boot.reference}`,
    `image=${boot.image}`,
    `driver=${boot.driver}`,
    `chain=${boot.chain}`,
    ...boot.layers.map((layer) => `layer=${layer}`),
  ];
}
