import path from 'node:path';
import { Guest } from '../../src/boot/guest.ts';
import { copyToStore } from '../../src/store/copy.ts';
import { Store } from '../../src/store/store.ts';
import { tagImage } from '../../src/store/tag.ts';
import type { BootImage } from './boot-fixtures.ts';
import { repository } from './paths.ts';
import { runCliOk } from './run-cli.ts';

/**
 * Builds docs/examples/`name` as its first lines say, and makes a guest of it. Dispose the guest.
 * @param base becomes debian:bookworm
 * @param directory gets the store
 * @param topLayer a directory of the example
 */
export async function makeExample(
  name: string,
  { base, directory, topLayer }: { base: BootImage; directory: string; topLayer?: string },
): Promise<Guest> {
  const store = Store.openOrCreate(path.join(directory, 'store'), undefined);
  await copyToStore(base.store, store, { reference: base.reference });
  await tagImage(store, { image: base.reference, name: 'debian:bookworm' });
  const context = `docs/examples/${name}`;
  await runCliOk(['build', '--store', store.paths.root, '-t', name, '--check-boot', context], {
    cwd: repository,
    timeoutMs: 240_000,
  });
  return await Guest.make(store, {
    reference: name,
    kver: undefined,
    filesystem: 'btrfs',
    diskBytes: undefined,
    topLayer: topLayer === undefined ? undefined : path.join(repository, context, topLayer),
    writable: 'ephemeral',
    keep: undefined,
  });
}
