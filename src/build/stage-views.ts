import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountOverlay } from '../store/overlay-mount.ts';
import type { Store } from '../store/store.ts';
import { unmount } from '../system/libc.ts';
import { FileSource } from './file-source.ts';
import { CacheMiss } from './layer-factory.ts';
import { lowerDirectories } from './merged-view.ts';
import type { StageState } from './stage-state.ts';

/** Stages and images as trees to read from; each is mounted once, at first use. */
export class StageViews implements Disposable {
  readonly #store: Store;
  readonly #scratch: string;
  readonly #mounts: boolean;
  readonly #open = new Map<string, { source: FileSource; mounted: string | undefined }>();

  /** @param place without `mounts`, what would have to be mounted is a CacheMiss */
  constructor(store: Store, place: { scratch: string; mounts: boolean }) {
    this.#store = store;
    this.#scratch = place.scratch;
    this.#mounts = place.mounts;
  }

  /** The files of a state, with their owners. */
  source(state: StageState): FileSource {
    const key = state.layers.map((layer) => layer.chainId).join(' ');
    const open = this.#open.get(key);
    if (open !== undefined) return open.source;
    const { layers } = this.#store.paths;
    const lower = lowerDirectories(state, this.#store.driver.name);
    const mountPoint = join(this.#scratch, String(this.#open.size));
    if (lower.length !== 1 && !this.#mounts) throw new CacheMiss('a stage is to be mounted');
    mkdirSync(mountPoint, { recursive: true });
    if (lower.length > 1) mountOverlay(layers, { target: mountPoint, lower });
    const root = lower.length === 1 ? join(layers, lower[0]!) : mountPoint;
    const source = new FileSource(root, { keepsOwners: true });
    this.#open.set(key, { source, mounted: lower.length > 1 ? mountPoint : undefined });
    return source;
  }

  [Symbol.dispose](): void {
    for (const { source, mounted } of this.#open.values()) {
      source[Symbol.dispose]();
      if (mounted !== undefined) unmount(mounted);
    }
    this.#open.clear();
  }
}
