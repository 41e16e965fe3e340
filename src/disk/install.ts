import type { Deployed } from '../deploy/deploy.ts';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { runCommand } from '../system/exec.ts';
import type { OperationOptions } from '../system/progress.ts';
import { holdDevice, inspectDevice, type Device } from './device.ts';
import { planLayout, partitionsOf, type Partition } from './layout.ts';
import { neededBytes, writeDisk, type DiskContent } from './write-disk.ts';

/** What would be on the device. Writes nothing. @throws IMGBOOT_DISK_TOO_SMALL, IMGBOOT_USAGE */
export function planInstallation(store: Store, device: Device, content: DiskContent): Partition[] {
  const { loader, deployment } = content;
  // Boot code of BIOS counts in sectors of 512 bytes.
  if (device.sectorBytes !== 512 && loader.firmware.has('bios')) {
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      `${device.path} has sectors of ${device.sectorBytes} bytes, which BIOS does not boot from`,
      { hint: 'install for --firmware uefi' },
    );
  }
  const rootBytes = neededBytes(store, deployment.reference);
  const { sizeBytes } = device;
  return partitionsOf(planLayout({ sizeBytes, rootBytes, loader: loader.name, firmware: loader.firmware }));
}

/**
 * Makes a device a disk that boots an image. All that was on it is lost; a device on which it fails has no partition
 * table. Needs root.
 */
export async function installOnDevice(
  store: Store,
  device: Device,
  content: DiskContent & OperationOptions,
): Promise<Deployed> {
  using _held = holdDevice(device);
  // What was shown may be long ago.
  await inspectDevice(device.path);
  planInstallation(store, device, content);
  store.image(content.deployment.reference);
  for (const part of device.parts.toReversed())
    if (part.content !== undefined) await runCommand('wipefs', ['--all', '--force', '--quiet', part.path]);
  const { path, sizeBytes, sectorBytes } = device;
  const deployed = await writeDisk(store, { path, sizeBytes, sectorBytes }, content);
  // A kernel that reads no partition tables is none that this disk is booted by.
  await runCommand('blockdev', ['--rereadpt', path], { okStatuses: [0, 1] });
  return deployed;
}
