import { renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { copyImage, type ImageName, type RegistryOptions } from '../image/transport.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { Store } from './store.ts';

/** Archives that {@link saveImage} writes. */
export const archiveFormats = ['docker-archive', 'oci-archive'] as const;
export type ArchiveFormat = (typeof archiveFormats)[number];

/** Copies an image of the store to wherever skopeo reaches. */
export async function pushImage(
  store: Store,
  request: OperationOptions & RegistryOptions & { reference: string; to: ImageName },
): Promise<void> {
  const image = store.image(request.reference);
  if (image.reference === undefined) {
    throw new ImgbootError('IMGBOOT_NO_NAME', `image ${image.id} has no name`, {
      hint: 'give it one with imgboot tag',
    });
  }
  using _content = await store.lockContent('shared', request);
  request.progress?.({ step: `copying ${image.reference} to ${request.to}` });
  // Relative, because a store's path may hold a colon.
  await copyImage({ ...request, from: `oci:oci:${image.reference}`, cwd: store.paths.root, remote: 'to' });
}

/** Writes an image into an archive, aside and renamed: an older archive stays until the new one is whole. */
export async function saveImage(
  store: Store,
  request: OperationOptions & { reference: string; path: string; format: ArchiveFormat },
): Promise<void> {
  const path = resolve(request.path);
  const aside = join(dirname(path), `.imgboot-${process.pid}-${basename(path).replaceAll(':', '_')}`);
  if (aside.includes(':'))
    throw new ImgbootError('IMGBOOT_USAGE', `cannot save to ${path}: skopeo takes no path with a colon`);
  const name = store.image(request.reference).reference ?? '';
  try {
    await pushImage(store, { ...request, to: `${request.format}:${aside}:${name}` });
    renameSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
}
