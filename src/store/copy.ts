import { constants, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { withoutEngine } from '../image/engine-name.ts';
import type { OperationOptions } from '../system/progress.ts';
import { StorePaths } from './paths.ts';
import { completeImage } from './borrowed.ts';
import { adoptImage } from './pull.ts';
import type { Store } from './store.ts';

/**
 * Copies an image under its name from one store to another, where it is unpacked. Costs nothing when it is there. One
 * that was taken from another engine is an image of the other store's own there.
 */
export async function copyToStore(
  from: Store,
  to: Store,
  { reference, ...options }: OperationOptions & { reference: string },
): Promise<void> {
  const image = await completeImage(from, from.image(reference), options);
  const name = withoutEngine(
    image.reference ?? `${image.id.slice('sha256:'.length, 'sha256:'.length + 12)}:latest`,
  );
  if (
    to
      .images()
      .some((other) => other.reference === name && other.descriptor.digest === image.descriptor.digest)
  )
    return;
  await using workspace = await to.workspace();
  using _content = await to.lockContent('shared', options);
  const copy = new StorePaths(join(workspace.path, 'copy'));
  mkdirSync(copy.blobs, { recursive: true });
  for (const { digest } of [image.descriptor, image.manifest.config, ...image.manifest.layers]) {
    options.progress?.({ step: `copying ${name}` });
    copyFileSync(from.paths.blob(digest), copy.blob(digest), constants.COPYFILE_FICLONE);
  }
  await to.name(
    await adoptImage(to, { descriptor: image.descriptor, from: copy, workspace, ...options }),
    name,
  );
}
