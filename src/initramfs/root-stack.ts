import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { byBytes } from '../system/rooted.ts';
import type { RootStack } from './machine-profile.ts';

/** Where the kernel shows itself; other directories for tests. */
export interface KernelViews {
  sys: string;
  proc: string;
}

/** The running kernel's own. */
export const kernelViews: KernelViews = { sys: '/sys', proc: '/proc' };

/** What a boot has to mount: the root, a separate /usr, and the store's file system. */
const mountedAtBoot: readonly string[] = ['/', '/usr', '/var/lib/imgboot'];

/**
 * The file systems that the running system's root lies on, or those of other absolute paths, and what lies between
 * them and the disks.
 * @see proc(5), Documentation/ABI/testing/sysfs-block of the kernel
 */
export function readRootStack({ sys, proc }: KernelViews, paths = mountedAtBoot): RootStack {
  const filesystems = new Set<string>();
  const layers = new Set<string>();
  const seen = new Set<string>();
  for (const mount of mountsOf(paths, readText(join(proc, 'self/mountinfo')))) {
    const devices = devicesOf(mount, sys);
    if (devices.length === 0) continue;
    filesystems.add(mount.type);
    for (const device of devices) walkDevice(device, { layers, seen });
  }
  return { filesystems: [...filesystems].sort(byBytes), layers: [...layers].sort(byBytes) };
}

interface Mount {
  device: string;
  point: string;
  type: string;
  source: string;
}

/** The mounts that the paths lie on: of several at one place, the last is the one that is seen. */
function mountsOf(paths: readonly string[], mountinfo: string): Mount[] {
  const mounts = mountinfo.split('\n').flatMap((line) => parseMount(line) ?? []);
  const holding = (path: string): Mount | undefined =>
    mounts
      .filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
      .reduce<Mount | undefined>(
        (a, b) => (a === undefined || b.point.length >= a.point.length ? b : a),
        undefined,
      );
  return [...new Set(paths.flatMap((path) => holding(path) ?? []))];
}

function parseMount(line: string): Mount | undefined {
  const [fixed = '', rest = ''] = line.split(' - ');
  const [, , device, , point] = fixed.split(' ');
  const [type, source] = rest.split(' ');
  if (device === undefined || point === undefined || type === undefined || source === undefined)
    return undefined;
  return { device, point: unescapeMount(point), type: type.split('.')[0]!, source: unescapeMount(source) };
}

/** The kernel writes blanks and the like as octal numbers. */
function unescapeMount(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The sysfs directories of the disks or partitions under a mount; none for what lies on no disk. */
function devicesOf(mount: Mount, sys: string): string[] {
  if (!mount.device.startsWith('0:')) return realDirectories([join(sys, 'dev/block', mount.device)]);
  if (mount.type !== 'btrfs') return [];
  // A btrfs has a number of its own, and shows its members elsewhere.
  const source = basename(realPath(mount.source) ?? mount.source);
  for (const uuid of names(join(sys, 'fs/btrfs'))) {
    const members = names(join(sys, 'fs/btrfs', uuid, 'devices'));
    if (members.includes(source)) {
      return realDirectories(members.map((name) => join(sys, 'fs/btrfs', uuid, 'devices', name)));
    }
  }
  return [];
}

function walkDevice(directory: string, found: { layers: Set<string>; seen: Set<string> }): void {
  if (found.seen.has(directory)) return;
  found.seen.add(directory);
  // A partition shows what is under it in its disk's directory.
  if (existsSync(join(directory, 'partition'))) walkDevice(dirname(directory), found);
  const layer = layerOf(directory);
  if (layer !== undefined) found.layers.add(layer);
  for (const below of realDirectories(
    names(join(directory, 'slaves')).map((name) => join(directory, 'slaves', name)),
  )) {
    walkDevice(below, found);
  }
}

/** What device-mapper's users write before the names that they give; see the DM_UUID rules of their udev files. */
const deviceMapperKinds: readonly [prefix: string, layer: string][] = [
  ['CRYPT-VERITY', 'dm-verity'],
  ['CRYPT-INTEGRITY', 'dm-integrity'],
  ['CRYPT-', 'dm-crypt'],
  ['LVM-', 'lvm'],
  ['mpath-', 'dm-multipath'],
  ['DMRAID-', 'dm-raid'],
];

/** The kind of a device that is made of others; undefined for a disk. */
function layerOf(directory: string): string | undefined {
  const level = readText(join(directory, 'md/level')).trim();
  if (level !== '') return `md-${level}`;
  if (existsSync(join(directory, 'dm'))) {
    const uuid = readText(join(directory, 'dm/uuid'));
    return deviceMapperKinds.find(([prefix]) => uuid.startsWith(prefix))?.[1] ?? 'dm';
  }
  if (existsSync(join(directory, 'bcache/dirty_data'))) return 'bcache';
  if (existsSync(join(directory, 'loop'))) return 'loop';
  return undefined;
}

function realDirectories(paths: readonly string[]): string[] {
  return paths.flatMap((path) => realPath(path) ?? []);
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).sort(byBytes);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
