import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { runVariable } from './boot-fixtures.ts';
import { bookwormTar, debianTar, kernelOf } from './fixtures.ts';
import { writeTree } from './file-tree.ts';
import { makeOnce } from './make-once.ts';
import { repository } from './paths.ts';
import { hooksUnderTest, originalConfiguration } from './tiny-machine.ts';

/** Ours, and those that our hooks are for; dracut with its own init, and with systemd. */
export const generators = ['own', 'initramfs-tools', 'dracut', 'dracut-systemd', 'mkinitcpio'] as const;
export type Generator = (typeof generators)[number];

/** What the generators need beside the essential packages. The kernel is that of the Debian that boots. */
const packages = [
  'systemd-sysv',
  'udev',
  'kmod',
  'util-linux',
  'initramfs-tools',
  'dracut-core',
  'busybox-static',
  'btrfs-progs',
  'e2fsprogs',
  'tar',
  'zstd',
  'cpio',
];

/** A Debian 12 with initramfs-tools 0.142 and dracut 059. */
export async function generatorsTar(): Promise<string> {
  return debianTar('bookworm', packages);
}

const dracut = (modules: string): string =>
  'dracut --quiet --force --no-hostonly --no-early-microcode --no-compress --kver "$kver"' +
  ` --modules "base udev-rules kernel-modules rootfs-block fs-lib imgboot ${modules}"` +
  ' --drivers "virtio_pci virtio_blk" /made/image';

/** How each makes its image, in the root: as its user would, but with the drivers of the test's machine only. */
const recipes: Record<Exclude<Generator, 'own'>, string> = {
  'initramfs-tools': `cp -r /etc/initramfs-tools /made/conf; echo MODULES=list >> /made/conf/initramfs.conf
    printf 'virtio_pci\nvirtio_blk\n' >> /made/conf/modules
    mkinitramfs -d /made/conf -c zstd -o /made/image "$kver"`,
  dracut: dracut('dash'),
  'dracut-systemd': dracut('dash systemd systemd-initrd dracut-systemd'),
  mkinitcpio: 'bash /mkinitcpio/build "$kver" /made/image imgboot',
};

/** The kernel of Debian 12 and a generator's initramfs for it with our hooks, made once a run. */
export async function initramfsOf(generator: Generator): Promise<{ kernel: string; initrd: string }> {
  if (generator === 'own') return hooksUnderTest();
  const { vmlinuz, version } = await kernelOf(await bookwormTar());
  const root = await generatorsRoot();
  const initrd = await makeOnce(path.join(runDirectory(), `${generator}.img`), async (aside) => {
    await inGeneratorsRoot(root, `kver=${version}\n${recipes[generator]}\ncp /made/image /out/image`, aside);
  });
  return { kernel: vmlinuz, initrd: path.join(initrd, 'image') };
}

/** Runs a script in the root; /out is a directory of the host, which is made. */
async function inGeneratorsRoot(root: string, script: string, out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  // What is mounted here ends with the shell. Two generators may be at work at a time.
  const mounts = `cd "$1"
    mount -t proc proc proc; mount --rbind /dev dev
    for name in tmp var/tmp made; do mount -t tmpfs tmpfs $name; done
    mount --bind "$3" out
    exec chroot . sh -euc "$2"`;
  const words = ['--mount', '--propagation', 'private', 'sh', '-euc', mounts, 'sh', root, script, out];
  await execa('unshare', words, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, extendEnv: false });
}

/** The root with our hooks in it, put there by hooks/install. */
async function generatorsRoot(): Promise<string> {
  return makeOnce(path.join(runDirectory(), 'generators'), async (aside) => {
    await mkdir(aside);
    await execa('tar', ['-xf', await generatorsTar(), '-C', aside]);
    const kernel = ['--wildcards', './boot/*', './usr/lib/modules/*'];
    await execa('tar', ['-xf', await bookwormTar(), '-C', aside, ...kernel]);
    await cp(path.join(repository, 'test/support/mkinitcpio'), path.join(aside, 'mkinitcpio'), {
      recursive: true,
    });
    writeTree(aside, originalConfiguration);
    for (const name of ['made', 'out']) await mkdir(path.join(aside, name));
    const all = ['dracut', 'initramfs-tools', 'mkinitcpio'];
    await execa('sh', [path.join(repository, 'hooks/install'), '--root', aside, 'install', ...all]);
  });
}

function runDirectory(): string {
  return process.env[runVariable]!;
}
