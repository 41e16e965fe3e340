import { ImgbootError } from '../errors.ts';
import { catMember } from '../initramfs/cat-member.ts';
import type { DriveBus } from '../vm/machine.ts';

/** What a disk can hang on, the fastest first, and the modules that find it there. */
const buses: readonly [bus: DriveBus, modules: readonly string[]][] = [
  ['virtio', ['virtio_pci', 'virtio_blk']],
  ['nvme', ['nvme']],
  ['sata', ['ahci', 'sd_mod']],
  ['scsi', ['virtio_pci', 'virtio_scsi', 'sd_mod']],
  ['usb', ['xhci_pci', 'usb_storage', 'sd_mod']],
];

/**
 * A bus of a virtual machine on which an initramfs finds its root: one for a certain machine has not every driver.
 * @throws IMGBOOT_GATE_CANNOT_IMITATE
 */
export async function busFor(initrd: string, signal: AbortSignal | undefined): Promise<DriveBus> {
  const known = modulesOf((await catMember(initrd, '/etc/imgboot/modules.load', signal)).toString());
  const found = buses.find(([, modules]) => modules.every((name) => known.has(name)));
  if (found !== undefined) return found[0];
  throw new ImgbootError(
    'IMGBOOT_GATE_CANNOT_IMITATE',
    'the initramfs of the version has no driver for a disk of a virtual machine',
    { hint: 'make it for such machines, too: deploy --modules universal' },
  );
}

/** A line for each module that the initramfs or its kernel has. @see hooks/contents/README.md */
function modulesOf(text: string): Set<string> {
  return new Set(text.split('\n').map((line) => line.split(' ', 1)[0]!));
}
