import { statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { loaderNames, type LoaderName, type Machine } from '../loader/machine.ts';
import type { Store } from '../store/store.ts';
import { runCommand } from '../system/exec.ts';
import { findMount, type MountPoint } from '../system/mountinfo.ts';

/** File systems that are gone when the machine is off, or that an initramfs cannot mount. */
const unbootable = new Set(['tmpfs', 'ramfs', 'overlay', 'nfs', 'nfs4', 'cifs', '9p', 'virtiofs', 'fuse']);

/** Where loaders' file systems are mounted, the likeliest first. */
const bootPlaces = ['/efi', '/boot/efi', '/boot', '/'] as const;

/** What tells that a loader is there: its configuration, below the top of a file system or of /boot. */
const traces: readonly [loader: LoaderName, directory: string, file: string][] = [
  ['systemd-boot', 'loader', 'loader.conf'],
  // Its own file system, which is the one where it reads loader.conf.
  ['systemd-boot', 'loader', '../EFI/systemd/systemd-bootx64.efi'],
  ['grub', 'grub', 'grub.cfg'],
  ['grub', 'grub2', 'grub.cfg'],
  ['refind', 'EFI/refind', 'refind.conf'],
  ['refind', 'EFI/BOOT', 'refind.conf'],
  ['extlinux', 'extlinux', 'extlinux.conf'],
  ['extlinux', 'syslinux', 'extlinux.conf'],
];

export interface MachineRequest {
  /** Chosen among those found when undefined. */
  loader?: string | undefined;
  /** Where the file system that the loader reads is mounted; looked for when undefined. */
  boot?: string | undefined;
}

/**
 * Finds out about the running system: the file system that the store is on, and the boot loader that is there.
 * @throws IMGBOOT_UNSUPPORTED_FILESYSTEM, IMGBOOT_NO_LOADER, IMGBOOT_USAGE
 */
export async function detectMachine(store: Store, request: MachineRequest = {}): Promise<Machine> {
  const wanted = checkLoader(request.loader);
  const place = await storePlace(store.paths.root);
  const found = await findLoader({ wanted, boot: request.boot });
  const boot = await bootFilesystem(found.mount, place.device);
  const esp = found.esp === undefined ? undefined : await bootFilesystem(found.esp, place.device);
  return {
    root: place.root,
    store: place.store,
    storePath: place.storePath,
    loader: found.loader,
    boot,
    ...(esp === undefined || esp === null ? {} : { esp }),
    directory: found.directory,
    owner: 'system',
  };
}

/** @throws IMGBOOT_USAGE */
export function checkLoader(text: string | undefined): LoaderName | undefined {
  if (text === undefined) return undefined;
  const loader = loaderNames.find((name) => name === text);
  if (loader !== undefined) return loader;
  throw new ImgbootError('IMGBOOT_USAGE', `there is no boot loader ${JSON.stringify(text)} here`, {
    hint: `it is one of ${loaderNames.join(', ')}`,
  });
}

async function storePlace(
  path: string,
): Promise<{ root: string[]; store: string; storePath: string; device: string }> {
  const mount = findMount(path);
  requireBootable(mount, path);
  const uuid = await filesystemUuid(mount.source);
  // As the initramfs mounts it: the whole file system, so that the host's own subvolumes do not matter.
  const below = relative(mount.target, path);
  const storePath = join(mount.root, below);
  const isBtrfs = mount.fstype === 'btrfs';
  return {
    root: [`root=UUID=${uuid}`, `rootfstype=${mount.fstype}`, ...(isBtrfs ? ['rootflags=subvolid=5'] : [])],
    store: storePath,
    storePath,
    device: mount.source,
  };
}

/** @throws IMGBOOT_UNSUPPORTED_FILESYSTEM */
export function requireBootable({ fstype, source }: MountPoint, path: string): void {
  if (!unbootable.has(fstype) && !fstype.startsWith('fuse.') && source.startsWith('/dev/')) return;
  throw new ImgbootError(
    'IMGBOOT_UNSUPPORTED_FILESYSTEM',
    `${path} is on ${fstype}, which no machine can be booted from`,
    { hint: 'it has to be on a disk: on btrfs, ext4 or xfs' },
  );
}

interface FoundLoader {
  loader: LoaderName;
  mount: MountPoint;
  /** From the top of its file system. */
  directory: string;
  /** Where loader.conf is, if not there. */
  esp?: MountPoint;
}

/** Boot Loader Specification: what is too large for the ESP lies on a partition of this type, entries and kernels. */
const XBOOTLDR = 'bc13c2ff-59e6-4262-a352-b275fd6f7172';

/** @throws IMGBOOT_NO_LOADER */
async function findLoader(request: {
  wanted: LoaderName | undefined;
  boot: string | undefined;
}): Promise<FoundLoader> {
  const { wanted, boot } = request;
  const extended = findMount(boot ?? '/boot');
  const isExtended =
    wanted !== 'grub' && wanted !== 'refind' && wanted !== 'extlinux' && (await isXbootldr(extended));
  if (!isExtended) return findTrace(request);
  const onEsp = findTrace({ wanted, boot: undefined });
  // systemd-boot reads the partition's top, whatever of it is mounted.
  if (onEsp.loader === 'systemd-boot' && onEsp.mount.source !== extended.source)
    return { ...onEsp, mount: extended, esp: onEsp.mount };
  return boot === undefined ? onEsp : findTrace(request);
}

async function isXbootldr({ source }: MountPoint): Promise<boolean> {
  if (!source.startsWith('/dev/')) return false;
  const words = ['--probe', '-o', 'value', '-s', 'PART_ENTRY_TYPE', '--', source];
  const { stdout } = await runCommand('blkid', words, { okStatuses: [0, 2, 8] });
  return stdout.toLowerCase() === XBOOTLDR;
}

/** @throws IMGBOOT_NO_LOADER */
function findTrace({
  wanted,
  boot,
}: {
  wanted: LoaderName | undefined;
  boot: string | undefined;
}): FoundLoader {
  const places = boot === undefined ? bootPlaces : [boot];
  for (const [loader, directory, file] of traces) {
    if (wanted !== undefined && loader !== wanted) continue;
    for (const place of places) {
      const below = place === '/' ? '/boot' : place;
      const path = join(below, directory);
      if (statSync(join(path, file), { throwIfNoEntry: false }) === undefined) continue;
      const mount = findMount(path);
      return { loader, mount, directory: join(mount.root, relative(mount.target, path)) };
    }
  }
  if (wanted !== undefined && boot !== undefined) {
    // A loader that has no configuration yet.
    const directory = traces.find(([loader]) => loader === wanted)![1];
    const mount = findMount(boot);
    return { loader: wanted, mount, directory: join(mount.root, relative(mount.target, boot), directory) };
  }
  throw new ImgbootError(
    'IMGBOOT_NO_LOADER',
    `there is no ${wanted ?? 'boot loader'} in ${places.join(', ')}`,
    {
      hint:
        boot === undefined
          ? 'mount the file system that the loader reads, or name it with --boot-dir; --loader says which loader it is'
          : `name the loader, too, if it has no configuration yet: --loader ${loaderNames[0]}`,
    },
  );
}

async function bootFilesystem(mount: MountPoint, rootDevice: string): Promise<Machine['boot']> {
  if (mount.source === rootDevice) return null;
  return { uuid: await filesystemUuid(mount.source), fstype: mount.fstype };
}

/** @throws IMGBOOT_UNSUPPORTED_FILESYSTEM */
export async function filesystemUuid(device: string): Promise<string> {
  const { stdout } = await runCommand('blkid', ['--probe', '-o', 'value', '-s', 'UUID', '--', device], {
    okStatuses: [0, 2],
  });
  if (stdout !== '') return stdout;
  throw new ImgbootError('IMGBOOT_UNSUPPORTED_FILESYSTEM', `the file system on ${device} has no UUID`, {
    hint: 'blkid lists the file systems that there are',
  });
}
