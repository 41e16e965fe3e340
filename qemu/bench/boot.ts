import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { chooseAccelerator } from '../../src/vm/accelerator.ts';
import { startMachine } from '../../src/vm/virtual-machine.ts';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import type { InitramfsFiles } from './initramfs.ts';
import { median, say } from './measure.ts';
import type { PeersRoot } from './peers-root.ts';
import type { Comparison } from './report.ts';

const RUNS = 3;
const filesystems = ['btrfs', 'ext4'] as const;

/** The first program of the new root: marks the moment in the kernel's log, and prints both ends of the phase. */
const INIT = `#!/bin/sh
mountpoint -q /proc || mount -t proc proc /proc
[ -c /dev/kmsg ] || mount -t devtmpfs dev /dev
echo '<6>bench: new root' > /dev/kmsg
exec > /dev/console 2>&1
dmesg | grep -E 'Run /init as init|bench: new root'
echo 'bench: end'
sleep 1
echo o > /proc/sysrq-trigger
sleep 100
`;

/** From the kernel's start of /init to the first program of the new root: one machine, one root, many initramfs. */
export async function measureBoots(peers: PeersRoot, files: InitramfsFiles): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const type of filesystems) comparisons.push(...(await measureRoot(peers, files, type)));
  return comparisons;
}

async function measureRoot(
  peers: PeersRoot,
  files: InitramfsFiles,
  type: (typeof filesystems)[number],
): Promise<Comparison[]> {
  say(`a disk with the root file system on ${type}`);
  await using disk = await loopFilesystem({ type, sizeBytes: 4 * 2 ** 30 });
  await $`tar --create --one-file-system -C ${peers.path} . | tar --extract -C ${disk.mountPoint}`;
  const init = path.join(disk.mountPoint, 'bench-init');
  await writeFile(init, INIT);
  await chmod(init, 0o755);
  await disk.unmount();
  // As installers of Debian write it into the boot loader.
  const { stdout: uuid } = await $`blkid --output value --match-tag UUID ${disk.diskPath}`;
  const phases: Partial<Record<keyof InitramfsFiles, number>> = {};
  for (const [name, initrd] of Object.entries(files) as [keyof InitramfsFiles, string][]) {
    const runs: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      say(`booting with ${path.basename(initrd)}, ${run + 1} of ${RUNS}`);
      const append = `root=UUID=${uuid.trim()} rootfstype=${type} rw`;
      runs.push(await bootOnce({ kernel: peers.kernel, initrd, disk: disk.diskPath, append }));
    }
    phases[name] = median(runs);
  }
  const compare = (
    mine: 'universal' | 'virtio',
    theirs: 'toolsMost' | 'toolsList' | 'dracut',
    name: string,
    target: number,
  ): Comparison => ({
    what: `initramfs phase of the boot, ${mine}, root on ${type}`,
    ours: { value: phases[mine]!, unit: 's' },
    peer: { name, value: phases[theirs]!, unit: 's' },
    target,
  });
  return [
    compare('universal', 'toolsMost', 'initramfs-tools most', 1 / 3),
    compare('universal', 'dracut', 'dracut --no-hostonly', 1 / 5),
    compare('virtio', 'toolsList', 'initramfs-tools list', 1 / 3),
    compare('virtio', 'dracut', 'dracut --no-hostonly', 1 / 5),
  ];
}

/** Seconds of the phase, by the guest kernel's clock. */
async function bootOnce(parts: {
  kernel: string;
  initrd: string;
  disk: string;
  append: string;
}): Promise<number> {
  const { accelerator } = await chooseAccelerator();
  await using machine = await startMachine({
    accelerator,
    memoryBytes: 2 ** 30,
    cpus: 1,
    kernel: parts.kernel,
    initrd: parts.initrd,
    append: `${parts.append} init=/bench-init console=ttyS0 quiet loglevel=3 panic=1`,
    drives: [{ path: parts.disk, format: 'raw', access: 'snapshot' }],
    console: 'captured',
  });
  await machine.expect('bench: end', { timeoutMs: 180_000, unless: /Kernel panic.*/ });
  const { text } = machine.console;
  return stamp(text, 'bench: new root') - stamp(text, 'Run /init as init');
}

/** The kernel's time stamp of a line of its log. */
function stamp(text: string, line: string): number {
  const match = new RegExp(`\\[ *(\\d+\\.\\d+)\\] ${line}`).exec(text);
  if (match === null) throw new Error(`the guest's log has no ${JSON.stringify(line)}:\n${text}`);
  return Number(match[1]);
}
