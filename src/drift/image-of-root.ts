import { ImgbootError } from '../errors.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import type { KeptRoot } from './kept-root.ts';

/** The image that a root was made on. @throws IMGBOOT_NO_SUCH_IMAGE */
export function imageOfRoot(store: Store, { version, chainId, name }: KeptRoot): Image {
  const images = store.images().filter((image) => image.layers.at(-1)?.chainId === chainId);
  const found =
    images.find(({ id }) => id === version?.image) ??
    images.find(({ reference }) => reference === name) ??
    images[0];
  if (found !== undefined) return found;
  throw new ImgbootError(
    'IMGBOOT_NO_SUCH_IMAGE',
    `the store no longer has the image that ${name} was made on`,
    {
      hint: 'load or pull it again; its root file system is all that is left of it',
    },
  );
}
