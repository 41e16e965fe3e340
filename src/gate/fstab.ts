import { unescapeOctal } from './unescape.ts';
import { parseDeviceSpec, type DeviceSpec } from './device-spec.ts';

/** A line of fstab. @see fstab(5) */
export interface FstabEntry {
  /** As it is written, without escapes. */
  source: string;
  /** The device that it names; undefined where it names none: a directory, `tmpfs`, a network's share. */
  device: DeviceSpec | undefined;
  /** Where it is mounted; `none` for swap. */
  target: string;
  type: string;
  options: string[];
}

/** Pure. Lines that make no sense are left to the boot. */
export function parseFstab(text: string): FstabEntry[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => {
      const [source, target, type, options = 'defaults'] = line.split(/[ \t]+/).map(unescapeOctal);
      if (source === undefined || target === undefined || type === undefined) return [];
      return { source, device: parseDeviceSpec(source), target, type, options: options.split(',') };
    });
}

/** Whether a boot tries to mount it. */
export function isMountedAtBoot({ options }: FstabEntry): boolean {
  return !options.includes('noauto') || options.includes('x-systemd.automount');
}

/** Whether the system goes on without it. */
export function isOptional({ options }: FstabEntry): boolean {
  return options.includes('nofail');
}

const networkTypes = new Set([
  'nfs',
  'nfs4',
  'cifs',
  'smb3',
  'smbfs',
  'ceph',
  'glusterfs',
  'sshfs',
  'ncp',
  'afs',
]);

/** Whether it needs a network. @see systemd.mount(5), "_netdev" */
export function needsNetwork({ type, options }: FstabEntry): boolean {
  return (
    options.includes('_netdev') || networkTypes.has(type) || networkTypes.has(type.replace(/^fuse\./, ''))
  );
}

/** The value of an option such as `subvol=@home`. */
export function optionValue({ options }: Pick<FstabEntry, 'options'>, name: string): string | undefined {
  return options.findLast((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}
