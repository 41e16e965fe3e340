import { createHash, randomBytes } from 'node:crypto';
import { ImgbootError } from '../../errors.ts';
import type { StorePaths } from '../../store/paths.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { timestamp } from '../../system/timestamp.ts';
import { listRoutes } from './links.ts';
import { NetworkState, lockNetworks, type Network } from './network-state.ts';
import {
  contains,
  firstAddress,
  formatAddress,
  formatSubnet,
  lastAddress,
  overlaps,
  parseAddress,
  parseSubnet,
  readSubnet,
  type Subnet,
} from './subnet.ts';
import { DEFAULT_NETWORK } from './types.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** What `--network` takes for something else. */
const reserved = new Set(['none', 'host', 'default', 'private', 'container', 'ns']);

export interface NetworkRequest extends OperationOptions {
  name: string;
  /** A free one is chosen when undefined. */
  subnet: string | undefined;
  /** The subnet's first address when undefined. */
  gateway: string | undefined;
  internal: boolean;
  dns: boolean;
}

/**
 * Makes a network: a file of the store. Its bridge appears with its first container.
 * @throws IMGBOOT_USAGE, IMGBOOT_NETWORK_EXISTS, IMGBOOT_SUBNET_IN_USE
 */
export async function createNetwork(
  paths: Pick<StorePaths, 'root'>,
  request: NetworkRequest,
): Promise<Network> {
  if (!NAME.test(request.name) || reserved.has(request.name)) {
    throw new ImgbootError('IMGBOOT_USAGE', `not a name for a network: ${JSON.stringify(request.name)}`, {
      hint: `a name is letters, digits, dots, dashes and underscores, and none of ${[...reserved].join(', ')}`,
    });
  }
  using _lock = await lockNetworks(request);
  const state = new NetworkState(paths);
  if (state.find(request.name) !== undefined)
    throw new ImgbootError('IMGBOOT_NETWORK_EXISTS', `there is a network ${request.name} already`, {
      hint: `imgboot network inspect ${request.name} shows it`,
    });
  const network = await makeNetwork(paths, state, request);
  state.writeNetwork(network);
  return network;
}

/** The network; the default one is made where it is missing. The caller holds the lock. */
export async function ensureNetwork(
  paths: Pick<StorePaths, 'root'>,
  state: NetworkState,
  name: string,
): Promise<Network> {
  if (name !== DEFAULT_NETWORK || state.find(name) !== undefined) return state.network(name);
  const request = { name, subnet: undefined, gateway: undefined, internal: false, dns: true };
  const network = await makeNetwork(paths, state, request);
  state.writeNetwork(network);
  return network;
}

async function makeNetwork(
  paths: Pick<StorePaths, 'root'>,
  state: NetworkState,
  request: NetworkRequest,
): Promise<Network> {
  const taken = [
    ...state
      .networks()
      .map(({ name, subnet }) => ({ subnet: readSubnet(subnet)!, by: `the network ${name}` })),
    ...(await listRoutes()).map(({ subnet, device }) => ({
      subnet,
      by: `this host's route to ${formatSubnet(subnet)} through ${device}`,
    })),
  ];
  const subnet =
    request.subnet === undefined
      ? chooseSubnet(
          taken.map(({ subnet }) => subnet),
          paths.root,
        )
      : parseSubnet(request.subnet);
  const other = taken.find((known) => overlaps(known.subnet, subnet));
  if (other !== undefined) throw subnetInUse(`the subnet ${formatSubnet(subnet)}`, other.by);
  const id = randomBytes(6).toString('hex');
  return {
    version: 1,
    name: request.name,
    id,
    created: timestamp(),
    // An interface's name has at most 15 characters.
    bridge: `imgboot-${id.slice(0, 7)}`,
    subnet: formatSubnet(subnet),
    gateway: chooseGateway(request.gateway, subnet),
    internal: request.internal,
    dns: request.dns,
  };
}

/**
 * 10.89.N.0/24, as podman's, where nothing is yet. Stores begin at different places, so that those of one host do not
 * choose the same while neither is up.
 */
function chooseSubnet(taken: readonly Subnet[], storeRoot: string): Subnet {
  const begin = createHash('sha256').update(storeRoot).digest()[0]!;
  for (let step = 0; step < 256; step += 1) {
    const subnet = parseSubnet(`10.89.${(begin + step) % 256}.0/24`);
    if (!taken.some((other) => overlaps(other, subnet))) return subnet;
  }
  throw subnetInUse('every subnet in 10.89.0.0/16', 'other networks and routes');
}

function chooseGateway(asked: string | undefined, subnet: Subnet): string {
  if (asked === undefined) return formatAddress(firstAddress(subnet) + 1);
  const address = readSubnet(asked)?.prefixLength === 32 ? parseAddress(asked) : undefined;
  const fits =
    address !== undefined &&
    contains(subnet, address) &&
    address !== firstAddress(subnet) &&
    address !== lastAddress(subnet);
  if (fits) return asked;
  throw new ImgbootError('IMGBOOT_USAGE', `${asked} is no address of a host in ${formatSubnet(subnet)}`, {
    hint: 'leave --gateway away, and the first one is taken',
  });
}

export function subnetInUse(subnet: string, by: string): ImgbootError {
  return new ImgbootError('IMGBOOT_SUBNET_IN_USE', `${subnet} overlaps ${by}`, {
    hint: 'imgboot network create --subnet names another; without it, a free one is chosen',
  });
}

/** A network and who is on it. */
export interface NetworkDescription extends Network {
  containers: { id: string; name: string; address: string; interface: string; macAddress: string | null }[];
}

export function describeNetwork(state: NetworkState, network: Network): NetworkDescription {
  const containers = state.attachments().flatMap((attachment) =>
    attachment.networks
      .filter((attached) => attached.network === network.name)
      .map((attached) => ({
        id: attachment.containerId,
        name: attachment.containerName,
        address: attached.address,
        interface: attached.interface,
        macAddress: attached.macAddress ?? null,
      })),
  );
  return { ...network, containers };
}
