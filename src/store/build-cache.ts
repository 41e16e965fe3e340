import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../errors.ts';
import { hexOf, type ChainId, type DiffId, type Digest } from '../image/digest.ts';
import type { Descriptor } from '../image/manifest.ts';
import { removeTree } from '../system/remove-tree.ts';
import { layerName, type LayerName, type StorePaths } from './paths.ts';

/** What a build step made, under the key of all that it was made from. */
export interface CachedStep {
  /** When it was made, RFC 3339: a rebuild from the cache gives the same image. */
  created: string;
  /** Null for a step that changed nothing. */
  layer: { descriptor: Descriptor; diffId: DiffId; chainId: ChainId; parent: ChainId | null } | null;
}

/** The build cache of a store: one small file a step. Its layers and blobs stay until it is pruned. */
export class BuildCache {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** The step, if its layer and blob are still there. A file that cannot be read is no hit. */
  find(key: Digest): CachedStep | undefined {
    const step = this.#read(`${hexOf(key)}.json`);
    if (step === undefined || step.layer === null) return step;
    const present =
      existsSync(this.#paths.blob(step.layer.descriptor.digest)) &&
      existsSync(this.#paths.layer(layerName(step.layer.chainId)));
    return present ? step : undefined;
  }

  /** Remembers a step whose layer is published. Builds side by side that make the same write the same. */
  put(key: Digest, step: CachedStep): void {
    mkdirSync(this.#paths.cache, { recursive: true, mode: 0o700 });
    const path = join(this.#paths.cache, `${hexOf(key)}.json`);
    const aside = `${path}.${randomBytes(6).toString('hex')}.new`;
    writeFileSync(aside, JSON.stringify(step), { mode: 0o600 });
    renameSync(aside, path);
  }

  /** Hex digests of blobs and names of layers that it holds on to. */
  used(): Set<string> {
    const names = new Set<string>();
    for (const file of this.#files()) {
      const layer = this.#read(file)?.layer;
      if (layer !== null && layer !== undefined)
        names.add(hexOf(layer.descriptor.digest)).add(layerName(layer.chainId) satisfies LayerName);
    }
    return names;
  }

  /** How much there is to clear. */
  size(): { cachedSteps: number; cacheMounts: number } {
    const mounts = existsSync(this.#paths.cacheMounts) ? readdirSync(this.#paths.cacheMounts) : [];
    return {
      cachedSteps: this.#files().length,
      cacheMounts: mounts.filter((name) => !name.endsWith('.lock')).length,
    };
  }

  /**
   * Forgets every step, and what builds keep for one another; the layers and blobs are garbage then, where no image
   * has them. No build may be under way.
   */
  clear(): void {
    removeTree(this.#paths.cache);
  }

  #files(): string[] {
    return existsSync(this.#paths.cache)
      ? readdirSync(this.#paths.cache).filter((name) => name.endsWith('.json') || name.endsWith('.new'))
      : [];
  }

  #read(file: string): CachedStep | undefined {
    try {
      return JSON.parse(readFileSync(join(this.#paths.cache, file), 'utf8')) as CachedStep;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}
