import { readFileSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../system/exec.ts';
import type { DeviceSpec } from './device-spec.ts';
import { unescapeHex } from './unescape.ts';

/** A block device of this machine, and what it answers to. */
export interface HostDevice {
  /** `/dev/sda2`, `/dev/dm-0` */
  path: string;
  /** Of its content, as blkid has it: `ext4`, `swap`, `crypto_LUKS`. */
  type: string | undefined;
  uuid: string | undefined;
  label: string | undefined;
  partUuid: string | undefined;
  partLabel: string | undefined;
  /** The LUKS device that it is the open content of. */
  insideOf: string | undefined;
}

/** Every block device that has a content or is a partition. Reads their first sectors; writes nothing. Needs root. */
export async function listHostDevices(): Promise<HostDevice[]> {
  const names = readdirSync('/sys/class/block').filter((name) => read(name, 'size') !== '0');
  const devices = await Promise.all(names.map(probe));
  return devices.flatMap((device) => device ?? []);
}

/** The devices that a specification means; more than one where several answer. */
export function devicesOf(devices: readonly HostDevice[], spec: DeviceSpec): HostDevice[] {
  if ('path' in spec) {
    const path = realpath(spec.path);
    return devices.filter((device) => device.path === path);
  }
  const key = ({ UUID: 'uuid', LABEL: 'label', PARTUUID: 'partUuid', PARTLABEL: 'partLabel' } as const)[
    spec.tag
  ];
  return devices.filter((device) => device[key] === spec.value);
}

async function probe(name: string): Promise<HostDevice | undefined> {
  const path = `/dev/${name.replaceAll('!', '/')}`;
  // 2: nothing is known of it; 8: several things are.
  const { stdout } = await runCommand('blkid', ['--probe', '--output', 'udev', '--', path], {
    okStatuses: [0, 2, 4, 8],
  });
  const facts = new Map(stdout.split('\n').map((line) => split(line)));
  const fact = (key: string): string | undefined => facts.get(key);
  const encoded = (key: string): string | undefined => {
    const value = facts.get(key);
    return value === undefined ? undefined : unescapeHex(value);
  };
  const device = {
    path,
    type: fact('ID_FS_TYPE'),
    uuid: encoded('ID_FS_UUID_ENC'),
    label: encoded('ID_FS_LABEL_ENC'),
    partUuid: fact('ID_PART_ENTRY_UUID'),
    partLabel: encoded('ID_PART_ENTRY_NAME'),
    insideOf: luksOf(name),
  };
  return device.type === undefined && device.partUuid === undefined ? undefined : device;
}

/** The device below an open LUKS. */
function luksOf(name: string): string | undefined {
  if (!read(name, 'dm/uuid').startsWith('CRYPT-LUKS')) return undefined;
  const [below] = readdirSync(join('/sys/class/block', name, 'slaves'));
  return below === undefined ? undefined : `/dev/${below.replaceAll('!', '/')}`;
}

function read(name: string, file: string): string {
  try {
    return readFileSync(join('/sys/class/block', name, file), 'utf8').trim();
  } catch {
    return '';
  }
}

function split(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

function realpath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
