import { ImgbootError } from '../errors.ts';
import type { LoaderName } from '../loader/machine.ts';
import type { FirmwareName } from '../vm/firmware.ts';

export const MEBIBYTE = 2 ** 20;

/** A partition of a disk that is to be. */
export interface Partition {
  /** Its name in the partition table. */
  name: string;
  /** The GPT partition type. */
  type: string;
  offsetBytes: number;
  sizeBytes: number;
  /** SeaBIOS and others go to the boot sector of one that has it. */
  isLegacyBootable: boolean;
}

export interface Layout {
  /** For GRUB's core on BIOS, and nothing else. */
  biosBoot: Partition | undefined;
  /** What the loader reads: loader, kernels, initramfs images, boot entries. FAT. */
  esp: Partition;
  root: Partition;
}

/** UEFI specification, Linux and GRUB. */
const types = {
  biosBoot: '21686148-6449-6E6F-744E-656564454649',
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
};

/** Kernels and initramfs images of a few versions. */
const ESP_BYTES = { least: 96 * MEBIBYTE, most: 512 * MEBIBYTE };

/**
 * Where everything lies on a disk of that size: partitions at whole mebibytes, the root to the end but for the second
 * partition table. Pure.
 * @throws IMGBOOT_DISK_TOO_SMALL
 */
export function planLayout(request: {
  sizeBytes: number;
  /** What the root's file system is to hold. */
  rootBytes: number;
  loader: LoaderName;
  firmware: ReadonlySet<FirmwareName>;
}): Layout {
  const { sizeBytes, loader, firmware } = request;
  const byBios = firmware.has('bios');
  const end = Math.floor(sizeBytes / MEBIBYTE - 1) * MEBIBYTE;
  let next = MEBIBYTE;
  const take = (
    part: Pick<Partition, 'name' | 'type' | 'sizeBytes'>,
    isLegacyBootable = false,
  ): Partition => {
    const partition = { ...part, offsetBytes: next, isLegacyBootable };
    next += part.sizeBytes;
    return partition;
  };
  const biosBoot =
    byBios && loader === 'grub'
      ? take({ name: 'BIOS boot', type: types.biosBoot, sizeBytes: MEBIBYTE })
      : undefined;
  const espBytes = Math.min(
    ESP_BYTES.most,
    Math.max(ESP_BYTES.least, Math.floor(sizeBytes / 8 / MEBIBYTE) * MEBIBYTE),
  );
  const esp = take(
    { name: 'EFI system', type: types.esp, sizeBytes: espBytes },
    byBios && loader === 'extlinux',
  );
  const needed = next + request.rootBytes + MEBIBYTE;
  if (needed > sizeBytes) throw tooSmall(sizeBytes, needed);
  return { biosBoot, esp, root: take({ name: 'imgboot', type: types.linux, sizeBytes: end - next }) };
}

/** The partitions of a layout, in their order. */
export function partitionsOf({ biosBoot, esp, root }: Layout): Partition[] {
  return [...(biosBoot === undefined ? [] : [biosBoot]), esp, root];
}

/** What sfdisk reads. Pure. @see sfdisk(8), "Input formats" */
export function sfdiskScript(layout: Layout): string {
  const lines = partitionsOf(layout).map(({ name, type, offsetBytes, sizeBytes, isLegacyBootable }) =>
    [
      `start=${offsetBytes / MEBIBYTE}MiB`,
      `size=${sizeBytes / MEBIBYTE}MiB`,
      `type=${type}`,
      `name="${name}"`,
      ...(isLegacyBootable ? ['attrs="LegacyBIOSBootable"'] : []),
    ].join(', '),
  );
  return ['label: gpt', ...lines, ''].join('\n');
}

function tooSmall(sizeBytes: number, needed: number): ImgbootError {
  const size = (bytes: number): string => `${Math.ceil(bytes / MEBIBYTE)} MiB`;
  return new ImgbootError(
    'IMGBOOT_DISK_TOO_SMALL',
    `${size(sizeBytes)} are too small: the image, its boot loader and room to work need ${size(needed)}`,
    { hint: `choose a larger disk, such as --size ${Math.ceil(needed / 2 ** 30)}G` },
  );
}
