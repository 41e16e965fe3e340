import { CommandFailed, ImgbootError, errnoOf } from '../errors.ts';
import type { Machine } from '../loader/machine.ts';
import type { LoaderPlan } from '../loader/plan.ts';
import { publish } from '../loader/publish.ts';
import { findMountedDevices } from '../system/block-device.ts';
import { runCommand } from '../system/exec.ts';
import { unmount } from '../system/libc.ts';
import { mendFat } from './mend-fat.ts';

/** Plain data. */
export interface PublishJob {
  plan: LoaderPlan;
  /** Empty directories: for the file system that the loader reads, and for the ESP, where that is another. */
  mountPoint: string;
  espMountPoint: string;
}

export async function runJob({ plan, mountPoint, espMountPoint }: PublishJob): Promise<void> {
  const { esp } = plan.machine;
  const device = await mountBoot(placeOf(plan.machine), mountPoint);
  if (esp !== undefined) await mountBoot({ source: `UUID=${esp.uuid}`, type: esp.fstype }, espMountPoint);
  try {
    publish(mountPoint, plan, esp === undefined ? mountPoint : espMountPoint);
  } catch (cause) {
    if (errnoOf(cause) !== 'EROFS') throw cause;
    throw new ImgbootError(
      'IMGBOOT_NO_BOOT_FILESYSTEM',
      `the boot loader's file system, ${device}, is mounted read-only`,
      {
        cause,
        hint: `mount it read-write; where the kernel has made it read-only: umount ${device}, then fsck -a ${device}`,
      },
    );
  }
  if (esp !== undefined) unmount(espMountPoint);
  unmount(mountPoint);
}

/** What mount calls the file system that the loader reads. */
function placeOf({ boot, root }: Machine): BootPlace {
  const word = (key: string): string | undefined =>
    root.find((one) => one.startsWith(`${key}=`))?.slice(key.length + 1);
  return boot === null
    ? { source: word('root')!, type: word('rootfstype') }
    : { source: `UUID=${boot.uuid}`, type: boot.fstype };
}

interface BootPlace {
  source: string;
  type: string | undefined;
}

/**
 * Mounts the top of the file system that the loader reads; the kernel lets several mounts of one share everything.
 * @returns its device
 */
async function mountBoot({ source, type }: BootPlace, mountPoint: string): Promise<string> {
  const options = type === 'btrfs' ? ['-o', 'subvolid=5'] : [];
  const mounted = (await findMountedDevices(source))[0];
  const device = mounted ?? (await findDevice(source));
  const isMendable = mounted === undefined && type === 'vfat';
  const removeSaved = isMendable ? await mendFat(device, mountPoint) : () => {};
  try {
    await runCommand('mount', [...(type === undefined ? [] : ['-t', type]), ...options, device, mountPoint]);
    removeSaved();
    return device;
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    throw new ImgbootError(
      'IMGBOOT_NO_BOOT_FILESYSTEM',
      `the boot loader's file system ${source} cannot be mounted: ${cause.message}`,
      { cause, hint: 'plug in the disk that has it; blkid lists the file systems that there are' },
    );
  }
}

/** The device with a UUID, or what was given where there is none: mount says so. */
async function findDevice(source: string): Promise<string> {
  if (!source.startsWith('UUID=')) return source;
  const { stdout } = await runCommand('blkid', ['--uuid', source.slice('UUID='.length)], {
    okStatuses: [0, 2],
  });
  return stdout === '' ? source : stdout;
}
