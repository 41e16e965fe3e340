import { runCommand } from './exec.ts';
import { listMounts, type MountPoint } from './mountinfo.ts';

/**
 * The devices with file systems that answer to `UUID=`, `LABEL=`, `PARTUUID=` or `PARTLABEL=`; a path is its own answer.
 * What is mounted is asked first: without udev, others are found by a list that may be old. Needs root.
 */
export async function findBlockDevices(spec: string): Promise<string[]> {
  if (spec.startsWith('/')) return [spec];
  const mounted = await findMountedDevices(spec);
  if (mounted.length > 0) return mounted;
  const args = ['--cache-file', '/dev/null', '--match-token', spec, '--output', 'device'];
  const { stdout } = await runCommand('blkid', args, { okStatuses: [0, 2] });
  return stdout.split('\n').filter(Boolean);
}

/** Those of them that are mounted. */
export async function findMountedDevices(spec: string): Promise<string[]> {
  if (!spec.includes('=')) return [];
  const [tag, value] = [spec.slice(0, spec.indexOf('=')), spec.slice(spec.indexOf('=') + 1)];
  const sources = new Set(listMounts().map(({ source }) => source));
  const found: string[] = [];
  for (const device of sources)
    if (device.startsWith('/dev/') && (await deviceTag(device, tag)) === value) found.push(device);
  return found;
}

/** How a device is mounted already; undefined where it is not. */
export function mountOf(device: string): MountPoint | undefined {
  return listMounts().find(({ source }) => source === device);
}

/** What a device's own bytes say: `TYPE`, `UUID`, `LABEL`; empty where they say nothing. */
export async function deviceTag(device: string, tag: string): Promise<string> {
  const args = ['--probe', '--output', 'value', '--match-tag', tag, '--', device];
  // One that is mounted need not be there any more.
  const { stdout } = await runCommand('blkid', args, { okStatuses: [0, 2, 4, 8] });
  return stdout;
}
