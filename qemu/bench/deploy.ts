import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { chooseAccelerator } from '../../src/vm/accelerator.ts';
import { startMachine } from '../../src/vm/virtual-machine.ts';
import { bookwormTar } from '../../test/support/fixtures.ts';
import { loopFilesystem, type LoopFilesystem } from '../../test/support/loop-filesystem.ts';
import { best, imgboot, median, say } from './measure.ts';
import type { Comparison } from './report.ts';

const RUNS = 5;
const BOOTS = 3;
const images = { small: 100, large: 10_000 } as const;
type Size = keyof typeof images;

/** What deployments and the writable layer of a boot cost on a small image and on a large one. */
export async function measureDeploy(): Promise<Comparison[]> {
  return [...(await onFilesystem('ext4', 'overlay')), ...(await onFilesystem('btrfs', 'btrfs'))];
}

async function onFilesystem(type: 'btrfs' | 'ext4', driver: 'btrfs' | 'overlay'): Promise<Comparison[]> {
  say(`deployments on ${type}`);
  await using filesystem = await loopFilesystem({ type, sizeBytes: 64 * 2 ** 30 });
  const store = path.join(filesystem.mountPoint, 'store');
  const bootDirectory = path.join(filesystem.mountPoint, 'boot');
  await mkdir(bootDirectory);
  const deploy = async (size: Size): Promise<unknown> =>
    $`${imgboot} deploy --store ${store} --loader extlinux --boot-dir ${bootDirectory} ${size}:1`;
  const seconds: Partial<Record<Size, { deploy: number; layer: number }>> = {};
  for (const size of ['small', 'large'] as const)
    await importImage(filesystem, { store, driver, size, megabytes: images[size] });
  for (const size of ['small', 'large'] as const) {
    // The first one makes what all later ones have; those are upgrades.
    await deploy(size);
    seconds[size] = { deploy: await best(RUNS, () => deploy(size)), layer: 0 };
  }
  for (const size of ['small', 'large'] as const) {
    const times: number[] = [];
    for (let boot = 0; boot < BOOTS; boot += 1) times.push(await bootOnce(filesystem, { store, size }));
    seconds[size]!.layer = median(times);
  }
  const compare = (what: string, kind: 'deploy' | 'layer'): Comparison => ({
    what: `${what} of 10 GB on ${type} (${driver} driver)`,
    ours: { value: seconds.large![kind], unit: 's' },
    peer: { value: seconds.small![kind], unit: 's', name: 'of 100 MB' },
    target: 1.2,
  });
  return [
    compare('deploying a new version of an image', 'deploy'),
    compare('the writable layer at boot over an image', 'layer'),
  ];
}

/** A bootable Debian and so many megabytes of files. */
async function importImage(
  { mountPoint }: LoopFilesystem,
  image: { store: string; driver: string; size: Size; megabytes: number },
): Promise<void> {
  say(`an image with ${image.megabytes} MB`);
  const root = path.join(mountPoint, 'root');
  await mkdir(root);
  await $`tar --directory ${root} --extract --file ${await bookwormTar()}`;
  const files = image.megabytes / 100;
  await $`sh -euc ${'cd "$1"; mkdir large; for i in $(seq "$2"); do truncate -s 100M large/$i; done'} sh ${root} ${files}`;
  await $`sh -euc ${'tar --directory "$1" --create . | zstd -1 | "$2" import --store "$3" --driver "$4" - "$5"'} sh ${root} ${imgboot} ${image.store} ${image.driver} ${`${image.size}:1`}`;
  await $`rm --recursive ${root}`;
  // A deployment waits until it is on the disk, and with it all that was written before.
  await $`sync --file-system ${mountPoint}`;
}

/** Boots a version until it has its root. @returns the seconds of the step that makes the writable layer */
async function bootOnce(
  filesystem: LoopFilesystem,
  { store, size }: { store: string; size: Size },
): Promise<number> {
  const versions = path.join(store, 'deployments', size);
  const [number] = (await $`ls ${versions}`.text())
    .match(/^\d+$/gm)!
    .toSorted((a, b) => Number(b) - Number(a));
  const version = path.join(versions, number!);
  const files = { kernel: `${filesystem.diskPath}.vmlinuz`, initrd: `${filesystem.diskPath}.initrd` };
  await $`cp ${path.join(version, 'vmlinuz')} ${files.kernel}`;
  await $`cp ${path.join(version, 'initrd.img')} ${files.initrd}`;
  const uuid = (await $`findmnt --noheadings --output UUID ${filesystem.mountPoint}`.text()).trim();
  await filesystem.unmount();
  try {
    const { accelerator } = await chooseAccelerator();
    await using machine = await startMachine({
      accelerator,
      memoryBytes: 2 ** 30,
      cpus: 1,
      ...files,
      append: `root=UUID=${uuid} imgboot.store=/store imgboot.deployment=${size}/${number} init=/bin/sync console=ttyS0 panic=-1`,
      drives: [{ path: filesystem.diskPath, format: 'raw', access: 'write' }],
      console: 'captured',
    });
    // Its init writes all to the disk and ends, and with it the machine: what is measured is over by then.
    await machine.waitForExit({ timeoutMs: 180_000 });
  } finally {
    await filesystem.mount();
  }
  const report = JSON.parse(await readFile(path.join(version, 'boot.json'), 'utf8')) as BootReport;
  const step = report.steps.find(({ name }) => name === 'writable layer')!;
  return (step.endMs - step.startMs) / 1000;
}
