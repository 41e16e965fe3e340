import { beforeAll, describe, expect, it } from 'vitest';
import type { DriveBus } from '../../src/vm/machine.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { stackDisks, universalHooks } from '../support/stack-disks.ts';

const BOOT_MS = 150_000;

const buses: readonly [DriveBus, string][] = [
  ['virtio', '/dev/vda'],
  ['sata', '/dev/sda'],
  ['scsi', '/dev/sda'],
  ['lsi', '/dev/sda'],
  ['nvme', '/dev/nvme0n1'],
  ['usb', '/dev/sda'],
];
const cases = (['q35', 'pc'] as const).flatMap((machine) =>
  buses.map(([bus, device]) => ({ machine, bus, device })),
);

describe('one initramfs for any machine boots', () => {
  beforeAll(async () => void (await stackDisks()));

  it.for(cases)('a $machine with its root on $bus', async ({ machine, bus, device }, context) => {
    const { plain } = await stackDisks();
    await using guest = await bootMachine(context, {
      ...(await universalHooks()),
      machine,
      memoryBytes: 512 * 2 ** 20,
      append: 'console=ttyS0 quiet panic=1 root=LABEL=plain',
      drives: [{ path: plain, format: 'raw', access: 'snapshot', bus }],
    });
    const root = await guest.expect(/^ROOT .*\.$/m, {
      timeoutMs: BOOT_MS,
      unless: /imgboot: .*To mend it.*|Kernel panic.*/,
    });
    expect(root).toBe(`ROOT ${device} ext2 ro.`);
    await guest.waitForExit({ timeoutMs: 60_000 });
  });
});
