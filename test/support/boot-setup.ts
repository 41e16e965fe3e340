import { runVariable } from './boot-fixtures.ts';
import { buildDist } from './build-dist.ts';
import { requireForTests } from './requirements.ts';
import { sweepDeadRuns } from './sweep.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

/** Before the tests that boot machines; what it returns runs after them. */
export default async function setup(): Promise<() => Promise<void>> {
  await requireForTests([
    'qemu-system-x86_64',
    'mmdebstrap',
    'skopeo',
    'mkfs.btrfs',
    'mkfs.ext4',
    'mkfs.xfs',
    'sfdisk',
    'losetup',
    'docker-registry',
    'dockerd',
    'docker',
    'podman',
    'qemu-img',
    'mkfs.vfat',
    'mcopy',
    'grub-mkimage',
    'syslinux',
    'cryptsetup',
  ]);
  if (process.getuid?.() === 0) await sweepDeadRuns();
  await buildDist();
  const run = await TemporaryDirectory.create();
  process.env[runVariable] = run.path;
  return async () => run[Symbol.asyncDispose]();
}
