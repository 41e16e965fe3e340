import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
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
  const name = store.image(request.reference).reference ?? '';
  await using workspace = await store.workspace();
  // skopeo's paths end at a colon: it gets one through the workspace, which has none.
  const directory = join(workspace.path, 'out');
  symlinkSync(dirname(path), directory);
  const aside = `.imgboot-${basename(workspace.path)}`;
  try {
    const to = `${request.format}:${join(relative(store.paths.root, directory), aside)}:${name}` as const;
    await pushImage(store, { ...request, to });
    renameSync(join(directory, aside), path);
  } finally {
    rmSync(join(directory, aside), { force: true });
  }
}
