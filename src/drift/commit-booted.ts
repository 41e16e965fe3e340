import { ImgbootError } from '../errors.ts';
import type { Digest } from '../image/digest.ts';
import type { Store } from '../store/store.ts';
import { chooseFrom } from './adopt-changes.ts';
import { adoptIntoLayer, type AdoptLayerRequest } from './adopt-layer.ts';

/**
 * Makes an image of the running system: the image that it was booted from, and a layer of all that was changed since.
 * All or nothing.
 * @returns the image's ID
 * @throws IMGBOOT_NOT_BOOTED, IMGBOOT_NOT_CHANGED, IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_BAD_LAYER
 */
export async function commitBooted(
  store: Store,
  request: Omit<AdoptLayerRequest, 'createdBy'>,
): Promise<Digest> {
  const chosen = await chooseFrom(store, {
    ...request,
    choice: { name: undefined, layer: undefined },
    wish: { all: true, paths: [], packages: [] },
  });
  if (chosen.drift.root.booted)
    return await adoptIntoLayer(store, chosen, { ...request, createdBy: 'imgboot commit --booted' });
  throw new ImgbootError('IMGBOOT_NOT_BOOTED', 'this system was not booted from an image of this store', {
    hint: 'imgboot deployment adopt --into layer takes a root that is kept',
  });
}
