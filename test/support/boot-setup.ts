import { buildDist } from './build-dist.ts';
import { requireForTests } from './requirements.ts';
import { sweepDeadRuns } from './sweep.ts';

/** Before the tests that boot machines. */
export default async function setup(): Promise<void> {
  await requireForTests(['qemu-system-x86_64', 'mmdebstrap', 'skopeo', 'mkfs.btrfs', 'mkfs.ext4', 'losetup']);
  if (process.getuid?.() === 0) await sweepDeadRuns();
  await buildDist();
}
