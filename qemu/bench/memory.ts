import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { $ } from 'zx';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import { writeOciLayout } from './oci-layout.ts';
import { imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

const FILE_BYTES = 2 * 2 ** 30;

/** The memory that loading an image with one 2 GB layer takes at its highest, in all processes together. */
export async function measureMemory(): Promise<Comparison[]> {
  say('loading an image with one layer of 2 GB');
  await using filesystem = await loopFilesystem({ type: 'btrfs', sizeBytes: 16 * 2 ** 30 });
  const at = (name: string): string => path.join(filesystem.mountPoint, name);
  await $`mkdir ${at('content')}`;
  await $`head -c ${FILE_BYTES} /dev/urandom > ${at('content/file')}`;
  await $`tar -cf ${at('layer.tar')} -C ${at('content')} file`;
  await writeOciLayout(at('layout'), { reference: 'big:latest', layers: [at('layer.tar')] });
  const load = $`${imgboot} load --store ${at('store')} --input ${at('layout')}`;
  const peak = await peakOf(load.pid!, load);
  return [
    {
      what: 'memory of load, one layer of 2 GB',
      ours: { value: peak / 1e6, unit: 'MB' },
      target: 200,
    },
  ];
}

/** The highest sum over a process and its descendants, sampled; shared pages are divided among who shares them. */
async function peakOf(pid: number, ended: Promise<unknown>): Promise<number> {
  let peak = 0;
  const end = ended.then(() => 'ended');
  while ((await Promise.race([end, sleep(20)])) !== 'ended') {
    const sizes = await Promise.all((await descendants(pid)).map(proportionalBytes));
    const sum = sizes.reduce((total, size) => total + size, 0);
    peak = Math.max(peak, sum);
  }
  return peak;
}

async function descendants(pid: number): Promise<number[]> {
  const all = [pid];
  for (const task of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    const children = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter(Boolean)) all.push(...(await descendants(Number(child))));
  }
  return all;
}

/** proc_pid_smaps(5): Pss. */
async function proportionalBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
}
