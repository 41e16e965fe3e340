import { ImgbootError } from '../errors.ts';
import { DISK_STORE, DISK_TOP_LAYER, type Disk } from './disk.ts';

/** What becomes of a boot's writes; `ram` may carry `:size=SIZE`. @see docs/boot.md */
export const writableKinds = ['ephemeral', 'persistent', 'ram'] as const;

/** @throws IMGBOOT_USAGE */
export function checkWritable(text: string): string {
  if (/^(?:ephemeral|persistent|ram(?::size=[0-9]+[kmgKMG%]?)?)$/.test(text)) return text;
  throw new ImgbootError('IMGBOOT_USAGE', `not a kind of writable layer: ${JSON.stringify(text)}`, {
    hint: `it is one of ${writableKinds.join(', ')}, ram:size=SIZE`,
  });
}

/** The part of a kernel command line that boots an image from a disk that {@link makeDisk} made. */
export function diskCommandLine(disk: Disk, boot: { reference: string; writable: string }): string {
  const topLayer = disk.hasTopLayer ? [`toplayer=UUID=${disk.uuid}`, `toplayer_path=${DISK_TOP_LAYER}`] : [];
  return [
    `root=UUID=${disk.uuid}`,
    `rootfstype=${disk.filesystem}`,
    'rw',
    `imgboot.image=${boot.reference}`,
    `imgboot.store=${DISK_STORE}`,
    `imgboot.writable=${boot.writable}`,
    ...topLayer,
  ].join(' ');
}
