import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { makeImageInitramfs } from '../boot/image-initramfs.ts';
import type { ModuleSelection } from '../initramfs/module-request.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { syncDirectory, syncTree } from '../system/durable.ts';
import type { OperationOptions } from '../system/progress.ts';
import { versionDirectory, type NamedVersion } from './deployments.ts';
import { NEW_PREFIX } from './remove-version.ts';

/**
 * Makes a version's directory with its kernel and initramfs: aside, then renamed when it is on the disk. The caller
 * removes it where the change does not come about. Holds the content lock meanwhile.
 * @returns the kernel's version
 */
export async function makeVersion(
  store: Store,
  request: OperationOptions & {
    version: Pick<NamedVersion, 'name' | 'number' | 'reference'>;
    image: Image;
    modules: ModuleSelection;
    kver: string | undefined;
  },
): Promise<string> {
  const { version, progress, signal } = request;
  const parent = join(store.paths.deployments, version.name);
  if (!existsSync(parent)) {
    mkdirSync(parent, { mode: 0o700 });
    syncDirectory(store.paths.deployments);
  }
  const aside = join(parent, `${NEW_PREFIX}${version.number}`);
  mkdirSync(aside, { mode: 0o700 });
  const { kver } = await makeImageInitramfs(store, {
    reference: version.reference,
    image: request.image,
    initramfs: {
      kver: request.kver,
      modules: request.modules,
      output: join(aside, 'initrd.img'),
    },
    kernelOutput: join(aside, 'vmlinuz'),
    progress,
    signal,
  });
  signal?.throwIfAborted();
  syncTree(aside);
  renameSync(aside, versionDirectory(store.paths, version));
  syncDirectory(parent);
  return kver;
}
