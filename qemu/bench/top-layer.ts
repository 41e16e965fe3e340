import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

const RUNS = 5;
const FILES = 300_000;
/** What a person waits for an answer. */
const TARGET_SECONDS = 3;

/** How long it takes to check a top layer of 500 files against an image of many more. */
export async function measureTopLayer(): Promise<Comparison[]> {
  return [await onFilesystem('btrfs', 'btrfs'), await onFilesystem('ext4', 'overlay')];
}

async function onFilesystem(type: 'btrfs' | 'ext4', driver: 'btrfs' | 'overlay'): Promise<Comparison> {
  say(`a top layer on ${type}`);
  await using filesystem = await loopFilesystem({ type, sizeBytes: 16 * 2 ** 30 });
  const at = (name: string): string => path.join(filesystem.mountPoint, name);
  const make = `cd $0; mkdir context root top root/etc top/many top/many/7
    for d in $(seq ${FILES / 1000}); do mkdir -p root/many/$d; (cd root/many/$d; touch $(seq 1000)); done
    echo root:x:0:0::/root: > root/etc/passwd; echo root:x:0: > root/etc/group
    tar -C root -cf image.tar .; rm -r root; cd top/many/7; for f in $(seq 500); do echo $f > $f; done`;
  await $`sh -euc ${make} ${filesystem.mountPoint}`;
  const store = ['--store', at('store')];
  await $`${imgboot} import ${store} ${at('image.tar')} many:0`;
  // A second layer, so that an overlay has something to merge.
  await writeFile(at('context/Dockerfile'), 'FROM many:0\nCOPY Dockerfile /etc/\n');
  await $`${imgboot} build ${store} --quiet -t many:1 ${at('context')}`;
  const check = async (): Promise<unknown> =>
    $`${imgboot} toplayer check ${store} --top-layer ${at('top')} many:1`;
  return {
    what: `toplayer check on an image of 300,000 files on ${type} (${driver} driver)`,
    ours: { value: await best(RUNS, check), unit: 's' },
    target: TARGET_SECONDS,
  };
}
