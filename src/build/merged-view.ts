import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MNT_DETACH, unmount } from '../system/libc.ts';
import type { StageState } from './stage-state.ts';
import { copyRootMetadata, mountOverlay } from '../store/overlay-mount.ts';
import type { DriverName } from '../store/driver.ts';

/** A place that must be there to be mounted over, though the image may not have it. */
export interface MountPoint {
  /** In the image, symlinks resolved. */
  path: string;
  kind: 'directory' | 'file';
}

/**
 * A stage's root file system with an upper directory that gets every change, mounted until it is closed. The
 * mount points lie in a layer below all others: they are there, and are never part of a change.
 */
export class MergedView {
  readonly root: string;
  readonly upper: string;
  readonly #scratch: string;
  #mounted = false;

  constructor(scratch: string) {
    this.#scratch = scratch;
    this.root = join(scratch, 'merged');
    this.upper = join(scratch, 'upper');
  }

  /** @param mountPoints says, of the root without them, which places there must be */
  open(
    state: StageState,
    place: { layers: string; driver: DriverName; mountPoints: (root: string) => readonly MountPoint[] },
  ): void {
    const lower = lowerDirectories(state, place.driver);
    const stubs = join(this.#scratch, 'stubs');
    for (const directory of [this.root, this.upper, stubs])
      mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (lower[0] !== undefined) copyRootMetadata(join(place.layers, lower[0]), this.upper);
    let mounts = 0;
    const mountOver = (directories: readonly string[]): void => {
      mounts += 1;
      const work = join(this.#scratch, `work-${mounts}`);
      mkdirSync(work);
      mountOverlay(place.layers, {
        target: this.root,
        lower: directories,
        // What a build has made is flushed once, before it is published.
        writable: { upper: this.upper, work, volatile: true },
      });
      this.#mounted = true;
    };
    mountOver(lower.length === 0 ? [stubs] : lower);
    const missing = place.mountPoints(this.root).filter(({ path }) => !existsSync(join(this.root, path)));
    if (missing.length === 0) return;
    this.close();
    for (const { path, kind } of missing) {
      const stub = join(stubs, path);
      mkdirSync(kind === 'directory' ? stub : dirname(stub), { recursive: true, mode: 0o755 });
      if (kind === 'file') writeFileSync(stub, '', { mode: 0o644 });
    }
    mountOver([...lower, stubs]);
  }

  /** Unmounts; the upper directory stays. */
  close(): void {
    if (this.#mounted) unmount(this.root);
    this.#mounted = false;
  }

  /** Unmounts after a failure, whatever is still open in it. */
  abandon(): void {
    if (this.#mounted) unmount(this.root, MNT_DETACH);
    this.#mounted = false;
  }
}

/** Topmost first, as names in `layers`. */
export function lowerDirectories(state: StageState, driver: DriverName): string[] {
  const directories = state.layers.map((layer) => layer.directory).toReversed();
  // A btrfs layer holds all that is below it.
  return driver === 'btrfs' ? directories.slice(0, 1) : directories;
}
