import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { loopFilesystem, type LoopFilesystem } from '../../test/support/loop-filesystem.ts';
import { imgboot } from './measure.ts';

const FILES = 300_000;

/** A store with an image of 300,000 files in two layers, on a file system of its own. Dispose it. */
export interface ManyFiles extends AsyncDisposable {
  filesystem: LoopFilesystem;
  store: string;
  /** `many:1` */
  image: string;
}

/** What each question is asked on. */
export const manyFilesCases = [
  { type: 'btrfs', driver: 'btrfs' },
  { type: 'ext4', driver: 'overlay' },
] as const;

export async function makeManyFiles(type: 'btrfs' | 'ext4'): Promise<ManyFiles> {
  const filesystem = await loopFilesystem({ type, sizeBytes: 16 * 2 ** 30 });
  try {
    const at = (name: string): string => path.join(filesystem.mountPoint, name);
    const make = `cd $0; mkdir context root root/etc
      for d in $(seq ${FILES / 1000}); do mkdir -p root/many/$d; (cd root/many/$d; touch $(seq 1000)); done
      echo root:x:0:0::/root: > root/etc/passwd; echo root:x:0: > root/etc/group
      tar -C root -cf image.tar .; rm -r root`;
    await $`sh -euc ${make} ${filesystem.mountPoint}`;
    const store = at('store');
    await $`${imgboot} import --store ${store} ${at('image.tar')} many:0`;
    // A second layer, so that an overlay has something to merge.
    await writeFile(at('context/Dockerfile'), 'FROM many:0\nCOPY Dockerfile /etc/\n');
    await $`${imgboot} build --store ${store} --quiet -t many:1 ${at('context')}`;
    return {
      filesystem,
      store,
      image: 'many:1',
      [Symbol.asyncDispose]: async () => await filesystem[Symbol.asyncDispose](),
    };
  } catch (error) {
    await filesystem[Symbol.asyncDispose]();
    throw error;
  }
}
