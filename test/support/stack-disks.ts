import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { parseCompression } from '../../src/initramfs/compression.ts';
import { Contents } from '../../src/initramfs/contents.ts';
import { makeInitramfs } from '../../src/initramfs/make-initramfs.ts';
import { parseModuleSelection } from '../../src/initramfs/module-request.ts';
import { chooseAccelerator } from '../../src/vm/accelerator.ts';
import { startMachine } from '../../src/vm/virtual-machine.ts';
import { runVariable } from './boot-fixtures.ts';
import { debianTar, kernelOf } from './fixtures.ts';
import { makeOnce } from './make-once.ts';

/** A Debian 12 with the kernel for any machine and the programs for what may lie under a root; nobody logs in to it. */
export async function stackTar(): Promise<string> {
  return debianTar('bookworm', [
    'linux-image-amd64',
    'kmod',
    'util-linux',
    'tar',
    'btrfs-progs',
    'e2fsprogs',
    'busybox-static',
    'cryptsetup-bin',
    'lvm2',
    'mdadm',
  ]);
}

/** The kernel for any machine, and the initramfs for any machine that our generator makes for it; made once a run. */
export async function universalHooks(): Promise<{ kernel: string; initrd: string }> {
  const tar = await stackTar();
  const { vmlinuz } = await kernelOf(tar);
  const initrd = await makeOnce(path.join(process.env[runVariable]!, 'universal.img'), async (aside) => {
    const root = `${aside}.root`;
    await mkdir(root);
    await execa('tar', ['-xf', tar, '-C', root, '--exclude=./usr/share', '--exclude=./var']);
    await makeInitramfs({
      root,
      modules: parseModuleSelection('universal', new Contents()),
      compression: parseCompression('zstd:3'),
      output: aside,
    });
    await execa('rm', ['-rf', root]);
  });
  return { kernel: vmlinuz, initrd };
}

export const passphrase = 'open sesame';
export const luksUuid = '11111111-1111-4111-8111-111111111111';
export const innerLuksUuid = '22222222-2222-4222-8222-222222222222';
export const mdUuid = '33333333:33333333:33333333:33333333';

/** The disks that are made, and their sizes in MiB. */
const disks = {
  /** LUKS2, opened by the passphrase or the key file; a root inside, labelled "in-luks". */
  luks: 40,
  /** LUKS2 with the same passphrase; LVM inside: volume group "vg", volume "root", labelled "in-lvm", with tiny/1. */
  'luks-lvm': 64,
  /** A RAID1 of two with a root, labelled "in-md". */
  md1: 40,
  md2: 40,
  /** A btrfs of two disks, labelled "pair". */
  btrfs1: 128,
  btrfs2: 128,
  /** A root on the whole disk, labelled "plain", with the key file /root.key. */
  plain: 40,
} as const;
export type StackDisk = keyof typeof disks;

/** What each root's init does: it tells what it lies on, and ends the machine. */
const rootInit = `#!/bin/busybox sh
export PATH=/bin
while read -r device point type options _; do
  [ "$point" != / ] || [ "$type" = rootfs ] || echo "ROOT $device $type \${options%%,*}."
done < /proc/mounts
[ ! -e /etc/rc ] || . /etc/rc
/bin/busybox poweroff -f
`;

/**
 * With the word "way-back" on the kernel command line, the way that systemd goes at its end: into /run/initramfs,
 * the root below it, and its \`shutdown\`, which is made to tell what is still there before it ends the machine.
 */
const rootRc = `
case " $(cat /proc/cmdline) " in
  *" way-back "*)
    mount --bind /run/initramfs /run/initramfs
    sed -i 's/^case /echo "LEFT $(ls -d \\/sys\\/class\\/block\\/dm-* \\/sys\\/class\\/block\\/md* 2> \\/dev\\/null)."; &/' /run/initramfs/shutdown
    cd /run/initramfs
    mount --move /proc proc
    mount --move /sys sys
    mount --move /dev dev
    pivot_root . oldroot
    exec /bin/busybox chroot . /bin/busybox sh /shutdown poweroff
    ;;
esac
`;

/** Of the deployment tiny/1. */
const bootFile = `version=1
reference=tiny:1
image=sha256:${'1'.repeat(64)}
driver=overlay
chain=sha256:${'1'.repeat(64)}
layer=1111111111111111
persist=/home
`;

/** Runs in a machine of its own, since the host may have neither device mapper nor md. */
const makeScript = `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mkdir /mnt
modprobe -a virtio_pci virtio_blk dm-crypt xts ecb algif_skcipher dm-mod raid1 ext4 btrfs

# $1: serial number
disk() {
  local directory
  for directory in /sys/block/vd*; do
    [ "$(cat "$directory/serial")" != "$1" ] || echo "/dev/\${directory##*/}"
  done
}
# $1: device  $2: label; empty for one that has its file system
fill() {
  [ -z "$2" ] || /bin/busybox mke2fs -F -L "$2" "$1" > /dev/null
  mount "$1" /mnt
  mkdir -p /mnt/bin /mnt/sbin /mnt/etc /mnt/proc /mnt/sys /mnt/dev /mnt/run /mnt/tmp
  cp /bin/busybox /mnt/bin/busybox
  ln -s busybox /mnt/bin/sh
  cp /root-init /mnt/sbin/init
  cp /root.key /mnt/root.key
  cp /root-rc /mnt/etc/rc
  umount /mnt
}
# Makes a deployment of what fill() has put there, which keeps /home.
# $1: device
deploy() {
  local store=/mnt/imgboot
  local layer=$store/layers/1111111111111111
  mount "$1" /mnt
  mkdir -p $store/boot $layer $store/deployments/tiny/1 $store/deployments/tiny/persist/%2Fhome
  for name in bin sbin etc proc sys dev run tmp; do cp -a /mnt/$name $layer/; done
  cp /deployment $store/deployments/tiny/1/boot
  umount /mnt
}
# $1: device  $2: UUID
encrypt() {
  printf '%s' '${passphrase}' | cryptsetup -q luksFormat --type luks2 --uuid "$2" --key-file - \\
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1"
  printf '%s' '${passphrase}' | cryptsetup luksAddKey --key-file - --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \\
    "$1" /root.key
  cryptsetup open --key-file /root.key "$1" open
}
encrypt "$(disk luks)" ${luksUuid}
fill /dev/mapper/open in-luks
cryptsetup close open

encrypt "$(disk luks-lvm)" ${innerLuksUuid}
lvm pvcreate /dev/mapper/open
lvm vgcreate vg /dev/mapper/open
lvm lvcreate -Wy --yes -l 100%FREE -n root vg
fill /dev/mapper/vg-root in-lvm
deploy /dev/mapper/vg-root
lvm vgchange -an vg
cryptsetup close open

echo y | mdadm --create /dev/md9 --level 1 --metadata 1.2 --raid-devices 2 --assume-clean --uuid ${mdUuid} \\
  --homehost any --name data "$(disk md1)" "$(disk md2)"
fill /dev/md9 in-md
mdadm --stop /dev/md9

btrfs device scan
fill "$(disk btrfs1)" ''
fill "$(disk plain)" plain
sync
echo "MADE ALL"
poweroff -f
`;

/** The disks, made once a run; boot them with access `snapshot`. */
export async function stackDisks(): Promise<Record<StackDisk, string>> {
  const directory = await makeOnce(path.join(process.env[runVariable]!, 'stacks'), async (aside) => {
    await mkdir(aside);
    const { kernel, initrd } = await universalHooks();
    const file = (name: string): string => path.join(aside, name);
    for (const [name, mebibytes] of Object.entries(disks)) {
      await execa('truncate', ['-s', `${mebibytes}M`, file(name)]);
    }
    await execa('mkfs.btrfs', [
      '-q',
      '-L',
      'pair',
      '-d',
      'raid1',
      '-m',
      'raid1',
      file('btrfs1'),
      file('btrfs2'),
    ]);
    await writeInitrd(file('maker.img'), initrd, {
      init: makeScript,
      'root-init': rootInit,
      'root.key': 'a key file\n',
      'root-rc': rootRc,
      deployment: bootFile,
    });
    await using machine = await startMachine({
      ...(await chooseAccelerator()),
      memoryBytes: 512 * 2 ** 20,
      cpus: 1,
      console: 'captured',
      kernel,
      initrd: file('maker.img'),
      append: 'console=ttyS0 quiet panic=1',
      drives: Object.keys(disks).map((name) => ({
        path: file(name),
        format: 'raw',
        access: 'write',
        serial: name,
      })),
    });
    await machine.expect(/^MADE ALL$/m, { timeoutMs: 240_000, unless: /Kernel panic.*/ });
    await machine.waitForExit({ timeoutMs: 60_000 });
  });
  const found = Object.keys(disks).map((name) => [name, path.join(directory, name)]);
  return Object.fromEntries(found) as Record<StackDisk, string>;
}

/** An initramfs with more files at its top: the kernel unpacks one archive over the other. */
export async function writeInitrd(
  target: string,
  initrd: string,
  files: Record<string, string>,
): Promise<void> {
  const tree = `${target}.tree`;
  await mkdir(tree);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(tree, name)), { recursive: true });
    await writeFile(path.join(tree, name), content);
    await chmod(path.join(tree, name), 0o755);
  }
  const { stdout: names } = await execa('find', ['.', '-mindepth', '1'], { cwd: tree });
  await execa('cpio', ['--quiet', '-o', '-H', 'newc', '-O', `${target}.cpio`], { cwd: tree, input: names });
  const first = await readFile(initrd);
  // An archive begins at a multiple of four bytes (the kernel's initramfs-buffer-format).
  const padding = Buffer.alloc((4 - (first.length % 4)) % 4);
  await writeFile(target, Buffer.concat([first, padding, await readFile(`${target}.cpio`)]));
}
