import { existsSync, lstatSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { nextChainId } from '../image/chain-id.ts';
import type { Digest } from '../image/digest.ts';
import { LAYER_TYPE } from '../image/manifest.ts';
import { scanChanges, type Change } from '../layer/changes.ts';
import { applyChanges, writeLayerTar } from '../layer/commit-upper.ts';
import { adoptBlob } from '../store/add-image.ts';
import { BuildCache } from '../store/build-cache.ts';
import { copyRootMetadata } from '../store/overlay-mount.ts';
import { layerName } from '../store/paths.ts';
import type { Store } from '../store/store.ts';
import { publishLayer } from '../store/unpack.ts';
import { syncTree } from '../system/durable.ts';
import { removeTree } from '../system/remove-tree.ts';
import { timestamp } from '../system/timestamp.ts';
import { MergedView, type MountPoint } from './merged-view.ts';
import { topChain, type StageLayer, type StageState } from './stage-state.ts';

/** What a step made; no layer when it changed nothing. */
export interface StepResult {
  created: string;
  layer: StageLayer | undefined;
}

/** Work that makes a layer. */
export interface LayerStep {
  /** All that its result depends on beside the state, as JSON: a part of the cache's key. */
  readonly identity: unknown;
  /** The places that must be there to be mounted over. */
  mountPoints(root: string): readonly MountPoint[];
  change(view: MergedView, scratch: string): Promise<void>;
}

/** Thrown where a build that was to come from the cache alone has to do something. */
export class CacheMiss extends Error {}

interface Made {
  key: Digest;
  result: StepResult;
  parent: StageLayer['chainId'] | undefined;
  /** The blob in the scratch directory; undefined for a layer that the store had already. */
  blob: string | undefined;
}

/**
 * Makes the layers of a build, and remembers them. New layers have temporary names until {@link publish}, which makes
 * all of them durable with one flush of the file system.
 */
export class LayerFactory {
  readonly #store: Store;
  readonly #cache: BuildCache;
  readonly #scratch: string;
  readonly #newName: (index: number) => string;
  readonly #latestSeconds: bigint | undefined;
  readonly #cachedOnly: boolean;
  readonly #made = new Map<Digest, Made>();
  readonly #published = new Set<Digest>();
  #count = 0;
  #steps = 0;

  constructor(
    store: Store,
    place: {
      scratch: string;
      newName: (index: number) => string;
      latestSeconds: bigint | undefined;
      cachedOnly: boolean;
    },
  ) {
    this.#store = store;
    this.#cache = new BuildCache(store.paths);
    this.#scratch = place.scratch;
    this.#newName = place.newName;
    this.#latestSeconds = place.latestSeconds;
    this.#cachedOnly = place.cachedOnly;
  }

  /**
   * A step that was made before, in this build or an earlier one, on the very layers of the state: a build beside this
   * one may have made the same steps with other results.
   */
  find(state: StageState, key: Digest, useCache: boolean): StepResult | undefined {
    const parent = topChain(state);
    const made = this.#made.get(key);
    if (made !== undefined && made.parent === parent) return made.result;
    const cached = useCache ? this.#cache.find(key) : undefined;
    if (cached === undefined) return undefined;
    if (cached.layer === null) return { created: cached.created, layer: undefined };
    if ((cached.layer.parent ?? undefined) !== parent) return undefined;
    const { descriptor, diffId, chainId } = cached.layer;
    return { created: cached.created, layer: { descriptor, diffId, chainId, directory: layerName(chainId) } };
  }

  /** Makes a step's layer: what the step leaves in the merged view. */
  async make(state: StageState, key: Digest, step: LayerStep): Promise<StepResult> {
    if (this.#cachedOnly) throw new CacheMiss('this step is not in the cache');
    this.#steps += 1;
    const scratch = join(this.#scratch, `step-${this.#steps}`);
    mkdirSync(scratch);
    const view = new MergedView(join(scratch, 'view'));
    try {
      view.open(state, {
        layers: this.#store.paths.layers,
        driver: this.#store.driver.name,
        mountPoints: (root) => step.mountPoints(root),
      });
      await step.change(view, scratch);
      view.close();
      const made = this.#commit(state, { key, view });
      this.#made.set(key, made);
      return made.result;
    } finally {
      view.abandon();
      removeTree(scratch);
    }
  }

  /** Publishes all new layers and their blobs, and tells the cache. */
  publish(): void {
    const made = [...this.#made.values()].filter(({ key }) => !this.#published.has(key));
    if (made.some(({ result }) => result.layer !== undefined)) syncTree(this.#store.paths.layers);
    for (const { key, result, parent, blob } of made) {
      const { layer, created } = result;
      if (layer !== undefined) {
        if (blob !== undefined) adoptBlob(this.#store.paths, { path: blob, digest: layer.descriptor.digest });
        const name = layerName(layer.chainId);
        if (layer.directory !== name) {
          publishLayer(this.#store, {
            newName: layer.directory,
            name,
            record: { chainId: layer.chainId, diffId: layer.diffId, parent: parent ?? null },
          });
          layer.directory = name;
        }
      }
      this.#published.add(key);
      const cached =
        layer === undefined
          ? null
          : {
              descriptor: layer.descriptor,
              diffId: layer.diffId,
              chainId: layer.chainId,
              parent: parent ?? null,
            };
      this.#cache.put(key, { created, layer: cached });
    }
  }

  #commit(state: StageState, { key, view }: { key: Digest; view: MergedView }): Made {
    const created = timestamp();
    const parent = topChain(state);
    const changes = scanChanges(view.upper, this.#latestSeconds);
    if (changes.length === 0) return { key, result: { created, layer: undefined }, parent, blob: undefined };
    const index = this.#count;
    this.#count += 1;
    const blob = join(this.#scratch, `blob-${index}`);
    const { diffId, sizeBytes } = writeLayerTar(changes, { upper: view.upper, output: blob });
    const chainId = nextChainId(parent, diffId);
    const descriptor = { mediaType: LAYER_TYPE, digest: diffId as string as Digest, size: sizeBytes };
    const name = layerName(chainId);
    if (existsSync(this.#store.paths.layer(name)))
      return {
        key,
        result: { created, layer: { descriptor, diffId, chainId, directory: name } },
        parent,
        blob,
      };
    const directory = this.#newName(index);
    this.#keep(state, { directory, view, changes });
    return { key, result: { created, layer: { descriptor, diffId, chainId, directory } }, parent, blob };
  }

  /** The change as a layer of the store: the upper directory itself, or a snapshot of the parent with it applied. */
  #keep(
    state: StageState,
    { directory, view, changes }: { directory: string; view: MergedView; changes: readonly Change[] },
  ): void {
    const { layers } = this.#store.paths;
    if (this.#store.driver.name === 'overlay' && !this.#replacesDirectory(state, changes)) {
      // Its root got a new time with every name put into it; a layer's root has its parent's.
      const parent = state.layers.at(-1);
      if (parent !== undefined) copyRootMetadata(join(layers, parent.directory), view.upper);
      return renameSync(view.upper, join(layers, directory));
    }
    const parents = state.layers.map((layer) => layer.directory).toReversed();
    const layer = this.#store.driver.begin(layers, { newName: directory, parents, scratch: this.#scratch });
    applyChanges(changes, { upper: view.upper, root: layer.root });
    layer.seal();
  }

  /**
   * Whether a directory was deleted and made again. The kernel then makes it opaque; who unpacks the layer's tar deletes
   * what it held one by one. Both mean the same, but a layer shall be what its tar makes.
   */
  #replacesDirectory(state: StageState, changes: readonly Change[]): boolean {
    const suffix = '/.wh..wh..opq';
    return changes.some(({ entry: { path } }) => {
      if (!path.endsWith(suffix)) return false;
      const directory = Buffer.from(`/${path.slice(0, -suffix.length)}`, 'latin1');
      return state.layers.some((layer) => {
        const below = Buffer.concat([
          Buffer.from(this.#store.paths.layers),
          Buffer.from(`/${layer.directory}`),
          directory,
        ]);
        return lstatSync(below, { throwIfNoEntry: false })?.isDirectory() === true;
      });
    });
  }
}
