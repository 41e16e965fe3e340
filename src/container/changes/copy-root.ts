import { existsSync } from 'node:fs';
import { ImgbootError } from '../../errors.ts';
import { Store } from '../../store/store.ts';
import { MS_BIND, MS_REC, mount } from '../../system/libc.ts';
import { findContainer } from '../record.ts';
import { containerMounts, containerPlaces } from '../rootfs-mounts.ts';
import type { IdMapping } from '../user-namespace.ts';
import { openRootfs } from '../writable-layer.ts';

/** A container's files, as plain data: of one that runs as its first process sees them, else as the next start will. */
export type ContainerView = { store: string; id: string } & (
  | {
      pid: number;
      /** Whom its files are shown to belong to; as they are on the disk where undefined. */
      owners: { uids: IdMapping[]; gids: IdMapping[] } | undefined;
    }
  | { volumes: Record<string, string> }
);

/**
 * The root directory of a container with what is mounted in it. Everything in it may be hostile and change meanwhile:
 * enter it with chroot(2). Mounts, so it runs only in a mount namespace of its own.
 */
export function openContainer(view: ContainerView): string {
  if ('pid' in view) return `/proc/${view.pid}/root`;
  const store = Store.open(view.store);
  const container = findContainer(store, view.id);
  const { rootfs } = container.paths;
  const sources = { volumes: view.volumes, init: undefined };
  openRootfs(container, {
    layers: store.paths.layers,
    places: (root) => containerPlaces(container, sources, root),
  });
  // Nothing runs in it: a destination, its links resolved, stays what it is.
  for (const { destination, source, type } of containerMounts(container, sources, rootfs)) {
    if (type === 'bind' && existsSync(source))
      mount({ source, target: `${rootfs}${destination}`, flags: MS_BIND | MS_REC });
  }
  return rootfs;
}

/** Who somebody of the container is on this host. @throws IMGBOOT_CANNOT_MAP for whom it does not have */
export function ownerOutside(id: number, mappings: readonly IdMapping[]): number {
  const range = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  if (range !== undefined) return range.hostID + id - range.containerID;
  throw new ImgbootError(
    'IMGBOOT_CANNOT_MAP',
    `the container's user namespace has nobody with the number ${id}`,
    {
      hint: 'leave --archive away: the files are its root’s then',
    },
  );
}
