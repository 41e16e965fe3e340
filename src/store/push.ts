import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { isEngineName, withoutEngine } from '../image/engine-name.ts';
import { INDEX_TYPE, REF_NAME } from '../image/manifest.ts';
import { copyImage, type ImageName, type RegistryOptions } from '../image/transport.ts';
import type { OperationOptions } from '../system/progress.ts';
import { completeImage } from './borrowed.ts';
import type { Image } from './image.ts';
import { StorePaths } from './paths.ts';
import type { Store } from './store.ts';
import type { Workspace } from './workspace.ts';

/** Archives that {@link saveImage} writes. */
export const archiveFormats = ['docker-archive', 'oci-archive'] as const;
export type ArchiveFormat = (typeof archiveFormats)[number];

/** Copies an image of the store to wherever skopeo reaches. */
export async function pushImage(
  store: Store,
  request: OperationOptions & RegistryOptions & { reference: string; to: ImageName },
): Promise<void> {
  const image = await completeImage(store, store.image(request.reference), request);
  if (image.reference === undefined) {
    throw new ImgbootError('IMGBOOT_NO_NAME', `image ${image.id} has no name`, {
      hint: 'give it one with imgboot tag',
    });
  }
  await using workspace = isEngineName(image.reference) ? await store.workspace() : undefined;
  using _content = await store.lockContent('shared', request);
  request.progress?.({ step: `copying ${image.reference} to ${request.to}` });
  // Relative, because a store's path may hold a colon.
  const layout = workspace === undefined ? 'oci' : layoutWithout(store, image, workspace);
  const from = `oci:${layout}:${withoutEngine(image.reference)}` as const;
  await copyImage({ ...request, from, cwd: store.paths.root, remote: 'to' });
}

/** A layout with an image of another engine's by a name that skopeo takes for one. @returns its path in the store */
function layoutWithout(store: Store, { reference, descriptor }: Image, { path }: Workspace): string {
  const layout = new StorePaths(join(path, 'named'));
  mkdirSync(dirname(layout.blobs), { recursive: true });
  symlinkSync(store.paths.blobs, layout.blobs);
  writeFileSync(join(layout.oci, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { [REF_NAME]: withoutEngine(reference!) };
  const index = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [{ ...descriptor, annotations }] };
  writeFileSync(layout.index, JSON.stringify(index));
  return relative(store.paths.root, layout.oci);
}

/** Writes an image into an archive, aside and renamed: an older archive stays until the new one is whole. */
export async function saveImage(
  store: Store,
  request: OperationOptions & { reference: string; path: string; format: ArchiveFormat },
): Promise<void> {
  const path = resolve(request.path);
  const name = withoutEngine(store.image(request.reference).reference ?? '');
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
