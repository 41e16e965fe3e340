import { ImgbootError } from '../../errors.ts';
import { runCommand } from '../../system/exec.ts';
import { readSubnet, type Subnet } from './subnet.ts';

/** A network interface of the host. */
export interface Link {
  index: number;
  name: string;
  /** The bridge that it is a port of. */
  bridge: string | undefined;
}

interface IpLink {
  ifindex: number;
  ifname: string;
  master?: string;
}

/** The host's interfaces. */
export async function listLinks(): Promise<Link[]> {
  const { stdout } = await runCommand('ip', ['-json', 'link', 'show']);
  return (JSON.parse(stdout) as IpLink[]).map(({ ifindex, ifname, master }) => ({
    index: ifindex,
    name: ifname,
    bridge: master,
  }));
}

/** Removes interfaces, and their other ends; what is gone is no matter. @throws CommandFailed */
export async function removeLinks(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const input = names.map((name) => `link delete dev ${name}\n`).join('');
  const { stderr } = await runCommand('ip', ['-force', '-batch', '-'], { input, okStatuses: [0, 1] });
  const failures = stderr
    .split('\n')
    .filter((line) => line !== '' && !/^(Cannot find device|Command failed)/.test(line));
  if (failures.length > 0)
    throw new ImgbootError('IMGBOOT_NETWORK_FAILED', `interfaces cannot be removed: ${failures.join('; ')}`);
}

/** A network that the host has a route to, but for the default one. */
export interface HostRoute {
  subnet: Subnet;
  device: string;
}

/** Every route of the host's tables, its own addresses too. */
export async function listRoutes(): Promise<HostRoute[]> {
  const { stdout } = await runCommand('ip', ['-json', '-4', 'route', 'show', 'table', 'all']);
  return (JSON.parse(stdout) as { dst: string; dev?: string }[]).flatMap(({ dst, dev }) => {
    const subnet = readSubnet(dst);
    return subnet === undefined || subnet.prefixLength === 0 ? [] : [{ subnet, device: dev ?? '' }];
  });
}

/** The indices on the host of the other ends of a process's interfaces, by name. */
export async function peersOf(pid: number): Promise<Map<string, { index: number; macAddress: string }>> {
  const { stdout } = await runCommand('nsenter', [
    '--target',
    String(pid),
    '--net',
    'ip',
    '-json',
    'link',
    'show',
  ]);
  const links = JSON.parse(stdout) as { ifname: string; link_index?: number; address?: string }[];
  return new Map(
    links.flatMap(({ ifname, link_index: index, address }) =>
      index === undefined ? [] : [[ifname, { index, macAddress: address ?? '' }]],
    ),
  );
}
