import { linkSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hexOf } from '../image/digest.ts';
import { sha256OfFile } from '../system/hash-file.ts';
import type { Image } from './image.ts';
import type { StorePaths } from './paths.ts';

/** Manifests and configs are small, and fetched with every image. */
const LAYER_BYTES = 64 << 10;

/** The store's layer blobs, shown to skopeo in a layout of its own: what is there it does not fetch again. */
export class KnownBlobs {
  readonly #store: StorePaths;
  readonly #layout: StorePaths;

  /** @param layout an empty directory on the store's file system */
  constructor(store: StorePaths, layout: StorePaths) {
    this.#store = store;
    this.#layout = layout;
    mkdirSync(layout.blobs, { recursive: true });
    for (const name of readdirSync(store.blobs)) {
      const blob = join(store.blobs, name);
      if ((statSync(blob, { throwIfNoEntry: false })?.size ?? 0) > LAYER_BYTES)
        linkSync(blob, join(layout.blobs, name));
    }
  }

  /**
   * Takes those out of the layout that an image has and that are damaged; copied again, it gets them anew.
   * @returns whether there were any
   */
  async dropDamaged(image: Image, { signal }: { signal?: AbortSignal | undefined }): Promise<boolean> {
    let dropped = false;
    for (const { digest } of new Set(image.manifest.layers)) {
      const [ours, theirs] = [this.#layout.blob(digest), this.#store.blob(digest)];
      const inode = statSync(theirs, { throwIfNoEntry: false })?.ino;
      if (inode !== statSync(ours).ino || (await sha256OfFile(ours, { signal })) === hexOf(digest)) continue;
      rmSync(ours);
      dropped = true;
    }
    return dropped;
  }
}
