import type { LayerName } from './paths.ts';

export const driverNames = ['btrfs', 'overlay'] as const;
export type DriverName = (typeof driverNames)[number];

/** A layer on its way: a directory to apply the layer tar to. */
export interface NewLayer {
  /** The merged view of the parents, writable. */
  readonly root: string;
  /** Ends the writing; what lies at `newPath` may then be renamed to its final name. Unmounts. */
  seal(): void;
}

/**
 * How a store keeps unpacked layers. All paths are in one `layers` directory. Methods that mount run only in a
 * mount namespace of their own.
 */
export interface LayerDriver {
  readonly name: DriverName;
  /** Refuses a file system that cannot keep such layers. @throws IMGBOOT_UNSUPPORTED_FILESYSTEM */
  probe(directory: string): void;
  /**
   * Begins a layer at `newName` on its parents, which may be new ones themselves.
   * @param parents names in `layers`, topmost first
   * @param scratch an empty directory on the same file system, for mount points
   */
  begin(layers: string, request: { newName: string; parents: readonly string[]; scratch: string }): NewLayer;
  /**
   * Makes a layer at `path` of one that another engine keeps, as this driver does: without a copy of its files.
   * @returns false, and leaves nothing, where it lies on another file system or is of another kind
   */
  share(directory: string, path: string): boolean;
  /** What proves later that a directory is the layer we made: a subvolume's UUID, where there is one. */
  identify(path: string): string | undefined;
  /** Deletes a layer or a half-made one; nothing is done when it is missing. */
  remove(path: string): void;
  /**
   * A directory that shows an image's root file system, read-only.
   * @param chain names in `layers`, topmost first
   */
  view(layers: string, chain: readonly LayerName[], mountPoint: string): string;
}
