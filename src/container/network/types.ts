import type { StorePaths } from '../../store/paths.ts';
import type { OperationOptions } from '../../system/progress.ts';

/** The network a container has when none is named; made on first use. */
export const DEFAULT_NETWORK = 'bridge';

/** One published port. */
export interface PortMapping {
  /** The host's address that answers; every one of its addresses when undefined. */
  hostAddress: string | undefined;
  /** A free one is chosen when undefined. */
  hostPort: number | undefined;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** One published port with the host's port that it got. */
export type PublishedPort = PortMapping & { hostPort: number };

export interface AttachRequest extends OperationOptions {
  paths: StorePaths;
  containerId: string;
  containerName: string;
  /** A process in the container's network namespace, which is new. */
  pid: number;
  /** Names of networks; the first is eth0. `none` and `host` are none. */
  networks: readonly string[];
  ports: readonly PortMapping[];
  /** More names by which the networks' other containers find this one. */
  aliases: readonly string[];
  /** Nameservers of the user's choice, instead of the host's. */
  dns: readonly string[];
  /** The container's hosts file: where nobody resolves names, it is kept up to date while the container runs. */
  hostsFile?: string | undefined;
}

/** One interface of a container. */
export interface AttachedInterface {
  network: string;
  interface: string;
  macAddress: string;
  /** With its prefix length: `10.89.0.2/24`. */
  address: string;
  gateway: string;
}

/** A line of /etc/hosts. */
export interface HostsLine {
  address: string;
  names: string[];
}

/** What a container got; for its resolv.conf, its hosts file, and `inspect`. */
export interface AttachedNetworks {
  backEnd: 'netavark' | 'cni';
  interfaces: AttachedInterface[];
  ports: PublishedPort[];
  /** For resolv.conf, in order. */
  nameservers: string[];
  /** The networks' own, before the host's. */
  searchDomains: string[];
  /** The container itself, once an interface. */
  hosts: HostsLine[];
}

export interface DetachRequest extends OperationOptions {
  paths: StorePaths;
  containerId: string;
}
