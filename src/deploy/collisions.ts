import { ImgbootError } from '../errors.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { examineOnImage } from '../top-layer/examine-image.ts';
import type { Finding } from '../top-layer/finding.ts';
import type { BootSettings, Version } from './deployments.ts';
import { placeOfWords } from './top-layer.ts';

/** Where a version's top layer collides with its image. */
export interface Collisions {
  /** Errors and warnings that the version before it has not, whose top layer is the same; all where there is none. */
  findings: Finding[];
  /** Why nothing is known. */
  unchecked: string | null;
}

export const noCollisions: Collisions = { findings: [], unchecked: null };

/** What collides anew where an image is to take the place of a version's. Never a reason not to deploy. */
export async function newCollisions(
  store: Store,
  request: OperationOptions & {
    image: Image;
    settings: Pick<BootSettings, 'topLayer' | 'persist'>;
    present: Version | undefined;
  },
): Promise<Collisions> {
  const { image, settings, present, progress, signal } = request;
  const place = placeOfWords(settings.topLayer);
  if (place === undefined) return noCollisions;
  progress?.({ step: 'looking for collisions of the top layer with the image' });
  const find = async (image: Image, persist: readonly string[]): Promise<Finding[]> => {
    const { findings } = await examineOnImage(store, { image, place, persist, signal });
    return findings.filter(({ level }) => level !== 'note');
  };
  try {
    const before = comparable(store, settings, present);
    const [next, known] = await Promise.all([
      find(image, settings.persist),
      before === undefined ? [] : find(before, present!.persist),
    ]);
    const keys = new Set(known.map(keyOf));
    return { findings: next.filter((finding) => !keys.has(keyOf(finding))), unchecked: null };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof ImgbootError)) throw error;
    return { findings: [], unchecked: error.message };
  }
}

/** The image that a version has, where the top layer is the same one. */
function comparable(
  store: Store,
  { topLayer }: Pick<BootSettings, 'topLayer'>,
  present: Version | undefined,
): Image | undefined {
  if (present === undefined || present.topLayer.join(' ') !== topLayer.join(' ')) return undefined;
  return store.images().find(({ id }) => id === present.image);
}

function keyOf({ code, path, message }: Finding): string {
  return `${code} ${path} ${message}`;
}
