import { closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import { FileLock } from '../system/lock.ts';

/** What lsblk says of a device, and of what is on it. */
interface BlockDevice {
  path: string;
  size: number;
  type: string;
  ro: boolean;
  partlabel: string | null;
  model: string | null;
  mountpoints: (string | null)[];
  'log-sec': number;
  children?: BlockDevice[];
}

/** One thing that is on a device: the device itself first. */
export interface DevicePart {
  path: string;
  sizeBytes: number;
  /** `disk`, `part`, `crypt`, `lvm`. */
  type: string;
  /** A file system, or what else has a signature: `gpt`, `crypto_LUKS`, `swap`. */
  content: string | undefined;
  label: string | undefined;
  mountedAt: string[];
}

/** A block device that may become a disk of ours. */
export interface Device {
  path: string;
  sizeBytes: number;
  sectorBytes: number;
  model: string | undefined;
  parts: DevicePart[];
  /** Whether anything would be lost. */
  isEmpty: boolean;
}

/**
 * What is on a device. Writes nothing.
 * @throws IMGBOOT_NOT_A_DEVICE, IMGBOOT_DEVICE_IN_USE where something of it is mounted, swapped to, or part of another
 */
export async function inspectDevice(path: string): Promise<Device> {
  if (!existsSync(path))
    throw notADevice(path, 'there is no such file', 'lsblk lists the devices that there are');
  if (!statSync(path).isBlockDevice())
    throw notADevice(path, 'it is no block device', 'imgboot disk makes a disk as a file');
  const columns = 'PATH,SIZE,TYPE,RO,PARTLABEL,MODEL,MOUNTPOINTS,LOG-SEC';
  const { stdout } = await runCommand('lsblk', ['--json', '--bytes', '--output', columns, path]);
  const [found] = (JSON.parse(stdout) as { blockdevices: BlockDevice[] }).blockdevices;
  if (found === undefined)
    throw notADevice(path, 'lsblk does not know it', 'lsblk lists the devices that there are');
  if (found.type === 'part')
    throw notADevice(
      path,
      'it is a partition',
      'give the whole disk; imgboot deploy adds to a system that is there',
    );
  if (found.ro) throw notADevice(path, 'it is read-only', 'look for a switch on it, or choose another');
  const parts = await Promise.all(flatten(found).map(describe));
  refuseUse(path, parts);
  return {
    path,
    sizeBytes: found.size,
    sectorBytes: found['log-sec'],
    model: found.model ?? undefined,
    parts,
    isEmpty: parts.length === 1 && parts[0]!.content === undefined,
  };
}

/**
 * Has the device to itself, as far as others ask: udev keeps off meanwhile, and so does another imgboot.
 * @see https://systemd.io/BLOCK_DEVICE_LOCKING/
 * @throws IMGBOOT_DEVICE_IN_USE
 */
export function holdDevice({ path }: Pick<Device, 'path'>): Disposable {
  const lock = FileLock.tryAcquire(path, 'exclusive');
  if (lock !== undefined) return lock;
  throw inUse(path, 'another program has locked it', 'lslocks tells which; try again when it has ended');
}

function flatten(device: BlockDevice): BlockDevice[] {
  return [device, ...(device.children ?? []).flatMap(flatten)];
}

async function describe(device: BlockDevice): Promise<DevicePart> {
  const { content, label } = await probe(device.path);
  return {
    path: device.path,
    sizeBytes: device.size,
    type: device.type,
    content,
    label: label ?? device.partlabel ?? undefined,
    mountedAt: device.mountpoints.filter((point) => point !== null),
  };
}

/** What the bytes say: lsblk goes by what udev has seen, which may be nothing. @see blkid(8) for its statuses */
async function probe(path: string): Promise<Pick<DevicePart, 'content' | 'label'>> {
  const [nothing, several] = [2, 8];
  const { stdout, exitCode } = await runCommand('blkid', ['--probe', '--output', 'export', path], {
    okStatuses: [0, nothing, several],
  });
  if (exitCode === several) return { content: 'several', label: undefined };
  const facts = new Map(stdout.split('\n').map((line) => line.split('=', 2) as [string, string]));
  return { content: facts.get('TYPE') ?? facts.get('PTTYPE'), label: facts.get('LABEL') };
}

/** Named uses first; the kernel's own word covers the rest, such as a RAID or a mount that another namespace has. */
function refuseUse(path: string, parts: readonly DevicePart[]): void {
  const swaps = readFileSync('/proc/swaps', 'utf8');
  for (const part of parts) {
    const [mountPoint] = part.mountedAt;
    if (mountPoint !== undefined && mountPoint !== '[SWAP]')
      throw inUse(path, `${part.path} is mounted at ${mountPoint}`, `umount ${mountPoint}`);
    if (mountPoint === '[SWAP]' || swaps.split('\n').some((line) => line.startsWith(`${part.path} `)))
      throw inUse(path, `${part.path} is used as swap`, `swapoff ${part.path}`);
    if (!['disk', 'loop', 'part'].includes(part.type))
      throw inUse(
        path,
        `${part.path} (${part.type}) is made of it`,
        `take ${basename(part.path)} down first`,
      );
  }
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL));
  } catch (cause) {
    if (errnoOf(cause) === 'EBUSY')
      throw inUse(path, 'the kernel says that it is busy', 'lsblk, /proc/mdstat and fuser tell who uses it');
    throw notADevice(path, errorMessage(cause), 'choose another device');
  }
}

function inUse(path: string, why: string, hint: string): ImgbootError {
  return new ImgbootError('IMGBOOT_DEVICE_IN_USE', `${path} is in use: ${why}`, { hint });
}

function notADevice(path: string, why: string, hint: string): ImgbootError {
  return new ImgbootError('IMGBOOT_NOT_A_DEVICE', `cannot install onto ${path}: ${why}`, { hint });
}
