import { statfsSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf } from '../errors.ts';
import {
  createSubvolume,
  deleteSubvolume,
  isSubvolume,
  setSubvolumeReadOnly,
  snapshotSubvolume,
  subvolumeUuid,
} from '../system/btrfs.ts';
import { removeTree } from '../system/remove-tree.ts';
import { makePlainRoot } from './plain-root.ts';
import type { LayerDriver, NewLayer } from './driver.ts';
import type { LayerName } from './paths.ts';

/** linux/magic.h */
export const BTRFS_SUPER_MAGIC = 0x9123683e;

/** A layer is a read-only subvolume that holds the whole root file system: its parent's snapshot, changed. */
export class BtrfsDriver implements LayerDriver {
  readonly name = 'btrfs' as const;

  probe(directory: string): void {
    if (statfsSync(directory).type === BTRFS_SUPER_MAGIC) return;
    throw new ImgbootError(
      'IMGBOOT_UNSUPPORTED_FILESYSTEM',
      `the btrfs driver needs a btrfs file system, and ${directory} is on another`,
      {
        hint: 'use --driver overlay, or put the store on btrfs',
      },
    );
  }

  begin(layers: string, request: { newName: string; parents: readonly string[] }): NewLayer {
    const root = join(layers, request.newName);
    const parent = request.parents[0];
    if (parent === undefined) {
      createSubvolume(root);
      makePlainRoot(root);
    } else snapshotSubvolume(join(layers, parent), root);
    return { root, seal: () => setSubvolumeReadOnly(root, true) };
  }

  share(directory: string, path: string): boolean {
    if (!isSubvolume(directory)) return false;
    try {
      snapshotSubvolume(directory, path);
    } catch (error) {
      if (error instanceof ImgbootError && errnoOf(error.cause) === 'EXDEV') return false;
      throw error;
    }
    setSubvolumeReadOnly(path, true);
    return true;
  }

  identify(path: string): string {
    return subvolumeUuid(path);
  }

  remove(path: string): void {
    if (isSubvolume(path)) deleteSubvolume(path);
    else if (existsSync(path)) removeTree(path);
  }

  view(layers: string, chain: readonly LayerName[]): string {
    return join(layers, chain[0]!);
  }
}
