import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { Store } from '../../src/store/store.ts';
import { unpackLayers } from '../../src/store/unpack.ts';
import { bookwormTar } from '../../test/support/fixtures.ts';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import { writeOciLayout } from './oci-layout.ts';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

const RUNS = 3;
const REFERENCE = 'bench';

/** Unpacks the image of a bootable Debian, the same bytes by everybody, on the same file system. */
export async function measureUnpack(): Promise<Comparison[]> {
  return [...(await onFilesystem('btrfs', 'btrfs')), ...(await onFilesystem('ext4', 'overlay'))];
}

async function onFilesystem(type: 'btrfs' | 'ext4', driver: 'btrfs' | 'overlay'): Promise<Comparison[]> {
  say(`unpacking on ${type}`);
  await using filesystem = await loopFilesystem({ type, sizeBytes: 12 * 2 ** 30 });
  const at = (name: string): string => path.join(filesystem.mountPoint, name);
  await writeOciLayout(at('plain'), { reference: REFERENCE, layers: [await bookwormTar()] });
  // As registries have it: gzip.
  await $`skopeo copy --quiet --dest-compress --dest-compress-format gzip oci:${at('plain')}:${REFERENCE} oci:${at('layout')}:${REFERENCE}`;
  const layer = await onlyLayer(at('layout'));
  const sync = async (): Promise<unknown> => $`sync --file-system ${filesystem.mountPoint}`;
  const fresh = async (name: string): Promise<void> => {
    await rm(at(name), { recursive: true, force: true });
    await sync();
  };

  const bsdtar = await best(
    RUNS,
    async () => {
      await mkdir(at('bsdtar'));
      await $`bsdtar -x -p --numeric-owner -f ${layer} -C ${at('bsdtar')}`;
      await sync();
    },
    async () => fresh('bsdtar'),
  );
  await fresh('bsdtar');
  const umoci = await best(
    RUNS,
    async () => {
      await $`umoci unpack --image ${at('layout')}:${REFERENCE} ${at('umoci')}`;
      await sync();
    },
    async () => fresh('umoci'),
  );
  await fresh('umoci');
  const skopeo = await best(
    RUNS,
    async () => {
      await $`skopeo copy --quiet oci:${at('layout')}:${REFERENCE} oci:${at('copy')}:${REFERENCE}`;
      await sync();
    },
    async () => fresh('copy'),
  );
  await fresh('copy');
  const load = await best(
    RUNS,
    async () => $`${imgboot} load --store ${at('store')} --driver ${driver} --input ${at('layout')}`,
    async () => emptyStore(at('store')),
  );
  const unpack = await best(
    RUNS,
    async () => unpackAgain(at('store')),
    async () => forgetLayers(at('store')),
  );
  const on = `on ${type} (${driver} driver)`;
  return [
    against(`unpack ${on}`, unpack, { name: 'bsdtar -x', value: bsdtar }, 1.2),
    against(`unpack ${on}`, unpack, { name: 'umoci unpack', value: umoci }, 1),
    against(`load ${on}`, load, { name: 'skopeo copy + bsdtar -x', value: skopeo + bsdtar }, 1.2),
  ];
}

/** Unpacks the store's image once more, from its blobs. */
async function unpackAgain(storePath: string): Promise<void> {
  const store = Store.open(storePath);
  await using workspace = await store.workspace();
  await unpackLayers(store, store.image(REFERENCE).layers, { workspace });
}

async function forgetLayers(storePath: string): Promise<void> {
  const store = Store.open(storePath);
  for (const layer of store.image(REFERENCE).layers) store.driver.remove(store.paths.layer(layer.name));
  await $`sync --file-system ${storePath}`;
}

async function emptyStore(storePath: string): Promise<void> {
  await $({ nothrow: true })`${imgboot} rmi --store ${storePath} ${REFERENCE}`;
  await $({ nothrow: true })`${imgboot} prune --force --store ${storePath}`;
}

/** The largest blob of a layout with one layer. */
async function onlyLayer(layout: string): Promise<string> {
  const blobs = path.join(layout, 'blobs/sha256');
  const { stdout } = await $`find ${blobs} -type f -size +1M`;
  const found = stdout.trim().split('\n');
  if (found.length !== 1)
    throw new Error(`${(await readdir(blobs)).length} blobs, and no single layer among them`);
  return found[0]!;
}

function against(
  what: string,
  seconds: number,
  peer: { name: string; value: number },
  target: number,
): Comparison {
  return { what, ours: { value: seconds, unit: 's' }, peer: { ...peer, unit: 's' }, target };
}
