import path from 'node:path';
import { buildDist } from './build-dist.ts';
import { cacheDirectory } from './paths.ts';
import { requireForTests } from './requirements.ts';
import { sweepDeadRuns } from './sweep.ts';

/** Before the tests that need root: what they run is built, and nothing of an earlier run is in their way. */
export default async function setup(): Promise<void> {
  await requireForTests([
    'mmdebstrap',
    'skopeo',
    'conmon',
    'umoci',
    'buildah',
    'docker-registry',
    'mkfs.btrfs',
    'mkfs.ext4',
    'mkfs.xfs',
    'losetup',
    'cpio',
    'setfacl',
    'setfattr',
    'setcap',
    'bzip2',
    'zstd',
    'time',
    'btrfs',
    'conmon',
    'netavark',
    'aardvark-dns',
    'host-local',
    'iptables',
    'ip',
    'grub-script-check',
    'sfdisk',
    'mkfs.vfat',
    'fsck.vfat',
    'mcopy',
    'grub-mkimage',
    'syslinux',
    'cryptsetup',
  ]);
  // The processes that the tests start compile every module once, not each time.
  process.env['NODE_COMPILE_CACHE'] ??= path.join(cacheDirectory, 'node');
  if (process.getuid?.() === 0) await sweepDeadRuns();
  await buildDist();
}
