import { ImgbootError } from '../errors.ts';
import { REF_NAME } from '../image/manifest.ts';
import type { OperationOptions } from '../system/progress.ts';
import { deployedVersions } from './deployed.ts';
import { readIndex } from './index-file.ts';
import { imageContainers } from './image-containers.ts';
import { collect } from './prune.ts';
import type { Store } from './store.ts';

/** What `rmi` did: names taken away, and images that are gone with their last name. */
export interface Removed {
  untagged: string[];
  deleted: string[];
}

/**
 * Takes names from images; an image without a name is deleted with what only it used. An image ID stands for all
 * names of the image, and needs `force` when there are several, and when containers or deployments are made of an image that would be
 * deleted: these keep its layers. Either all of `names` are removed or none.
 * @throws IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_SEVERAL_NAMES, IMGBOOT_IMAGE_IN_USE
 */
export async function removeImages(
  store: Store,
  names: readonly string[],
  { force, ...options }: OperationOptions & { force: boolean },
): Promise<Removed> {
  const untagged = new Set<string>();
  const digests = new Set<string>();
  for (const name of names) {
    const found = store.find(name);
    digests.add(found.descriptor.digest);
    if (found.by === 'name') {
      untagged.add(found.descriptor.annotations![REF_NAME]!);
      continue;
    }
    const all = store.names(found);
    if (all.length > 1 && !force) {
      throw new ImgbootError('IMGBOOT_SEVERAL_NAMES', `image ${name} has several names: ${all.join(', ')}`, {
        hint: 'remove them by name, or all with --force',
      });
    }
    for (const one of all) untagged.add(one);
  }
  if (!force) refuseUsed(store, { untagged, digests });
  await using _workspace = await store.workspace();
  await store.forget((descriptor) => {
    const reference = descriptor.annotations?.[REF_NAME];
    return reference === undefined ? digests.has(descriptor.digest) : untagged.has(reference);
  });
  const left = new Set(readIndex(store.paths).manifests.map((descriptor) => descriptor.digest as string));
  await collect(store, options);
  return { untagged: [...untagged], deleted: [...digests].filter((digest) => !left.has(digest)) };
}

/** @throws IMGBOOT_IMAGE_IN_USE where a container or deployment is made of an image that would lose its last name */
function refuseUsed(
  store: Store,
  { untagged, digests }: { untagged: ReadonlySet<string>; digests: ReadonlySet<string> },
): void {
  const doomed = store.images().filter(({ descriptor }) => digests.has(descriptor.digest));
  for (const image of doomed) {
    if (store.names(image).some((name) => !untagged.has(name))) continue;
    const containers = imageContainers(store.paths, image.id);
    const versions = deployedVersions(store.paths).filter((version) => version.image === image.id);
    const users = [
      ...named('container', containers),
      ...named(
        'deployment',
        versions.map(({ id }) => id),
      ),
    ];
    if (users.length === 0) continue;
    throw new ImgbootError(
      'IMGBOOT_IMAGE_IN_USE',
      `the image ${image.reference ?? image.id} is in use by the ${users.join(' and the ')}`,
      { hint: `remove them first (imgboot rm, imgboot undeploy), or the image alone with --force` },
    );
  }
}

/** `container a`, `containers a, b`, or nothing. */
function named(kind: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${kind}${names.length === 1 ? '' : 's'} ${names.join(', ')}`];
}
