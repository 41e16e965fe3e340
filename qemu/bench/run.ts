import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { makeBaseTar } from '../../test/support/build-fixtures.ts';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import { DockerDaemon } from '../../test/support/dockerd.ts';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

const RUNS = 9;
/** What an image of each size has beside the base: files of so many megabytes. */
const SMALL_MB = 100;
const LARGE_MB = 10_000;

/** `run IMAGE true` against docker's and bare runc's, and what a start costs on a small and on a large image. */
export async function measureRun(): Promise<Comparison[]> {
  return [...(await onFilesystem('ext4', 'overlay')), ...(await onFilesystem('btrfs', 'btrfs'))];
}

async function onFilesystem(type: 'btrfs' | 'ext4', driver: 'btrfs' | 'overlay'): Promise<Comparison[]> {
  say(`running containers on ${type}`);
  await using filesystem = await loopFilesystem({ type, sizeBytes: 64 * 2 ** 30 });
  const at = (name: string): string => path.join(filesystem.mountPoint, name);
  const store = ['--store', at('store')];
  const base = await makeBaseTar(filesystem.mountPoint);
  await $`${imgboot} import ${store} --driver ${driver} ${base} base:1`;
  const run = async (image: string): Promise<unknown> =>
    $`${imgboot} run ${store} --rm --network none ${image} true`;

  const bundle = at('bundle');
  await mkdir(path.join(bundle, 'rootfs'), { recursive: true });
  await $`tar --directory ${path.join(bundle, 'rootfs')} --extract --file ${base}`;
  await $({ cwd: bundle })`runc spec`;
  const spec = JSON.parse(await $`cat ${path.join(bundle, 'config.json')}`.text()) as {
    process: { args: string[]; terminal: boolean };
  };
  spec.process.args = ['true'];
  spec.process.terminal = false;
  await writeFile(path.join(bundle, 'config.json'), JSON.stringify(spec));
  const bare = await best(RUNS, async () => $({ cwd: bundle })`runc --root ${at('runc')} run bench`);

  const rows: Comparison[] = [];
  {
    await using daemon = await DockerDaemon.start(at('docker'), driver === 'btrfs' ? 'btrfs' : 'overlay2');
    await daemon.docker('import', base, 'base:1');
    const words = ['run', '--rm', '--network', 'none', 'base:1', 'true'];
    const peer = await best(RUNS, async () => daemon.docker(...words));
    const own = await best(RUNS, async () => run('base:1'));
    const on = `run --rm IMAGE true on ${type} (${driver} driver)`;
    rows.push(
      { what: on, ours: seconds(own), peer: { ...seconds(peer), name: 'docker' }, target: 1 / 2 },
      // A process of its own for the runtime's two halves, the monitor, and what starts them.
      { what: on, ours: seconds(own), peer: { ...seconds(bare), name: 'bare runc' }, target: 4 },
    );
  }
  const [small, large] = [await sized('small:1', SMALL_MB), await sized('large:1', LARGE_MB)];
  rows.push({
    what: `a start on an image of 10 GB on ${type} (${driver} driver)`,
    ours: seconds(large),
    peer: { ...seconds(small), name: 'of 100 MB' },
    target: 1.2,
  });
  return rows;

  async function sized(image: string, megabytes: number): Promise<number> {
    const root = at(`root-${megabytes}`);
    await mkdir(root);
    await $`tar --directory ${root} --extract --file ${base}`;
    const files = megabytes / 100;
    await $`sh -euc ${'cd "$1"; mkdir large; for i in $(seq "$2"); do truncate -s 100M large/$i; done'} sh ${root} ${files}`;
    await $`sh -euc ${'tar --directory "$1" --create . | zstd -1 | "$2" import --store "$3" - "$4"'} sh ${root} ${imgboot} ${at('store')} ${image}`;
    await $`rm --recursive ${root}`;
    await $`sync --file-system ${filesystem.mountPoint}`;
    return best(RUNS, async () => run(image));
  }
}

function seconds(value: number): Comparison['ours'] {
  return { value, unit: 's' };
}
