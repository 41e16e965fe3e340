import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf } from '../errors.ts';
import { RefersElsewhere, linkTree } from '../layer/link-tree.ts';
import { setXattr, unmount } from '../system/libc.ts';
import { makePlainRoot } from './plain-root.ts';
import { removeTree } from '../system/remove-tree.ts';
import { copyRootMetadata, mountOverlay } from './overlay-mount.ts';
import type { LayerDriver, NewLayer } from './driver.ts';
import { DOOMED_PREFIX, type LayerName } from './paths.ts';

/** Directories that are there for a moment, to see what a file system can hold. */
export const PROBE_PREFIX = '.imgboot-probe-';

/**
 * A layer is the upper directory that its tar leaves: its own files, whiteouts and opaque directories as the kernel
 * makes them.
 */
export class OverlayDriver implements LayerDriver {
  readonly name = 'overlay' as const;

  probe(directory: string): void {
    const probe = mkdtempSync(join(directory, PROBE_PREFIX));
    try {
      setXattr(probe, 'trusted.overlay.opaque', Buffer.from('y'));
    } catch (cause) {
      throw new ImgbootError(
        'IMGBOOT_UNSUPPORTED_FILESYSTEM',
        `${directory} is on a file system without trusted extended attributes`,
        {
          cause,
          hint: 'put the store on ext4, xfs or btrfs with --store',
        },
      );
    } finally {
      rmdirSync(probe);
    }
  }

  begin(layers: string, request: { newName: string; parents: readonly string[]; scratch: string }): NewLayer {
    const upper = join(layers, request.newName);
    mkdirSync(upper);
    const parent = request.parents[0];
    if (parent === undefined) {
      makePlainRoot(upper);
      return { root: upper, seal() {} };
    }
    copyRootMetadata(join(layers, parent), upper);
    const work = join(request.scratch, 'work');
    const merged = join(request.scratch, 'merged');
    for (const directory of [work, merged]) mkdirSync(directory);
    mountOverlay(layers, { target: merged, lower: request.parents, writable: { upper, work } });
    return {
      root: merged,
      seal() {
        unmount(merged);
        for (const directory of [work, merged]) removeTree(directory);
      },
    };
  }

  share(directory: string, path: string): boolean {
    try {
      linkTree(Buffer.from(directory), Buffer.from(path));
      return true;
    } catch (error) {
      this.remove(path);
      if (errnoOf(error) === 'EXDEV' || error instanceof RefersElsewhere) return false;
      throw error;
    }
  }

  identify(): undefined {
    return undefined;
  }

  remove(path: string): void {
    if (!existsSync(path)) return;
    // A name of its own first: a layer that is half deleted must not be taken for a layer.
    const doomed = join(path, '..', `${DOOMED_PREFIX}${randomBytes(6).toString('hex')}`);
    renameSync(path, doomed);
    removeTree(doomed);
  }

  view(layers: string, chain: readonly LayerName[], mountPoint: string): string {
    // A single lower directory cannot be mounted, and needs no merging.
    if (chain.length === 1) return join(layers, chain[0]!);
    mountOverlay(layers, { target: mountPoint, lower: chain });
    return mountPoint;
  }
}
