import { cp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { best, imgboot, say } from './measure.ts';
import type { PeersRoot } from './peers-root.ts';
import type { Comparison } from './report.ts';

/** The modules that a btrfs or ext4 root on virtio needs, for initramfs-tools' MODULES=list. */
const virtioModules = ['virtio_pci', 'virtio_blk', 'btrfs', 'ext4'];

/** The initramfs images that were made, for the boots. */
export interface InitramfsFiles {
  universal: string;
  virtio: string;
  toolsMost: string;
  toolsList: string;
  dracut: string;
}

interface Made {
  seconds: number;
  megabytes: number;
}

/** Makes every initramfs from the same root and kernel, `runs` times. */
export async function measureInitramfs(
  peers: PeersRoot,
  runs: number,
): Promise<{ comparisons: Comparison[]; files: InitramfsFiles }> {
  const files: InitramfsFiles = {
    universal: path.join(peers.scratch, 'universal.img'),
    virtio: path.join(peers.scratch, 'virtio.img'),
    toolsMost: path.join(peers.scratch, 'tools-most.img'),
    toolsList: path.join(peers.scratch, 'tools-list.img'),
    dracut: path.join(peers.scratch, 'dracut.img'),
  };
  const universal = await ours(peers, { modules: 'universal', output: files.universal, runs: 2 * runs });
  const virtio = await ours(peers, { modules: 'virtio', output: files.virtio, runs: 2 * runs });
  const forBtrfs = path.join(peers.scratch, 'virtio-btrfs.img');
  const specific = await ours(peers, { modules: 'virtio', fs: 'btrfs', output: forBtrfs, runs: 2 * runs });
  const most = await initramfsTools(peers, { modules: 'most', output: files.toolsMost, runs });
  const list = await initramfsTools(peers, { modules: 'list', output: files.toolsList, runs });
  const dracut = await runDracut(peers, { output: files.dracut, runs });
  return {
    files,
    comparisons: [
      times('mkinitramfs universal, time', universal, { ...most, name: 'initramfs-tools most' }, 1 / 10),
      times('mkinitramfs universal, time', universal, { ...dracut, name: 'dracut --no-hostonly' }, 1 / 40),
      sizes('mkinitramfs universal, size', universal, { ...most, name: 'initramfs-tools most' }),
      sizes('mkinitramfs universal, size', universal, { ...dracut, name: 'dracut --no-hostonly' }),
      times('mkinitramfs virtio, time', virtio, { ...list, name: 'initramfs-tools list' }, 1),
      sizes('mkinitramfs virtio, size', virtio, { ...list, name: 'initramfs-tools list' }),
      {
        what: 'mkinitramfs virtio for btrfs, time',
        ours: { value: specific.seconds, unit: 's' },
        target: 0.3,
      },
      {
        what: 'mkinitramfs virtio for btrfs, size',
        ours: { value: specific.megabytes, unit: 'MB' },
        target: 5,
      },
    ],
  };
}

async function ours(
  peers: PeersRoot,
  { modules, fs, output, runs }: { modules: string; fs?: string; output: string; runs: number },
): Promise<Made> {
  const choice = ['--modules', modules, ...(fs === undefined ? [] : ['--fs', fs])];
  say(`imgboot mkinitramfs ${choice.join(' ')}`);
  const make = async (): Promise<unknown> =>
    $`${imgboot} mkinitramfs --root ${peers.path} --kver ${peers.kver} ${choice} --output ${output}`;
  return measured(await best(runs, make), output);
}

async function initramfsTools(
  peers: PeersRoot,
  { modules, output, runs }: { modules: 'most' | 'list'; output: string; runs: number },
): Promise<Made> {
  say(`mkinitramfs of initramfs-tools, MODULES=${modules}`);
  const directory = `/etc/initramfs-${modules}`;
  const configuration = path.join(peers.path, directory);
  await cp(path.join(peers.path, 'etc/initramfs-tools'), configuration, { recursive: true });
  const text = await readFile(path.join(configuration, 'initramfs.conf'), 'utf8');
  await writeFile(
    path.join(configuration, 'initramfs.conf'),
    text.replace(/^MODULES=.*$/m, `MODULES=${modules}`),
  );
  if (modules === 'list')
    await writeFile(path.join(configuration, 'modules'), `${virtioModules.join('\n')}\n`);
  const inside = path.join(peers.path, 'made.img');
  const make = async (): Promise<unknown> =>
    $`chroot ${peers.path} mkinitramfs -d ${directory} -c zstd -o /made.img ${peers.kver}`;
  const seconds = await best(runs, make);
  await $`mv ${inside} ${output}`;
  return measured(seconds, output);
}

async function runDracut(
  peers: PeersRoot,
  { output, runs }: { output: string; runs: number },
): Promise<Made> {
  say('dracut --no-hostonly');
  const inside = path.join(peers.path, 'made.img');
  const make = async (): Promise<unknown> =>
    $`chroot ${peers.path} dracut --quiet --force --no-hostonly --zstd --kver ${peers.kver} /made.img`;
  const seconds = await best(runs, make, async () => rm(inside, { force: true }));
  await $`mv ${inside} ${output}`;
  return measured(seconds, output);
}

async function measured(seconds: number, file: string): Promise<Made> {
  return { seconds, megabytes: (await stat(file)).size / 1e6 };
}

function times(what: string, made: Made, peer: Made & { name: string }, target: number): Comparison {
  return {
    what,
    ours: { value: made.seconds, unit: 's' },
    peer: { name: peer.name, value: peer.seconds, unit: 's' },
    target,
  };
}

function sizes(what: string, made: Made, peer: Made & { name: string }): Comparison {
  return {
    what,
    ours: { value: made.megabytes, unit: 'MB' },
    peer: { name: peer.name, value: peer.megabytes, unit: 'MB' },
    target: 1,
  };
}
