import { takeImage } from '../engine/take-image.ts';
import { isEngineName } from '../image/engine-name.ts';
import { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';

/**
 * Opens the store for a command that works with an image. One that another engine has (`docker://...`) is taken into it
 * first, into a new store where there is none.
 */
export async function storeWithImage(
  path: string,
  image: string,
  options: OperationOptions,
): Promise<{ store: Store; reference: string }> {
  const store = isEngineName(image) ? Store.openOrCreate(path, undefined) : Store.open(path);
  return { store, reference: await takeImage(store, image, options) };
}
