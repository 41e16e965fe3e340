import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { ImgbootError } from '../../errors.ts';
import { identifyProcess } from '../../system/process-identity.ts';
import type { NetworkBackEnd } from './back-end.ts';
import { chooseBackEnd } from './choose-back-end.ts';
import { detach, sweepGone } from './detach.ts';
import { noteSharedChains } from './firewall.ts';
import { updateHostsFiles } from './hosts-files.ts';
import { listLinks, listRoutes, peersOf } from './links.ts';
import {
  NetworkState,
  lockNetworks,
  type AttachedNetwork,
  type Attachment,
  type Network,
} from './network-state.ts';
import { ensureNetwork, subnetInUse } from './networks.ts';
import { publishPorts } from './publish-ports.ts';
import { hostNameServers } from './resolvers.ts';
import { storeRunDirectory } from './run-directory.ts';
import { formatAddress, formatSubnet, freeAddress, overlaps, parseAddress, readSubnet } from './subnet.ts';
import { DEFAULT_NETWORK, type AttachRequest, type AttachedNetworks } from './types.ts';

/** The domain that aardvark-dns answers for, and asks nobody about. */
const NAME_SERVER_DOMAIN = 'dns.podman';

/**
 * Gives a new network namespace its interfaces, names and published ports. All or nothing; killed in between, the next
 * one that attaches or detaches undoes what is there once the namespace's process is gone. Needs root.
 * @throws IMGBOOT_NO_NETWORKS, IMGBOOT_NO_SUCH_NETWORK, IMGBOOT_PORT_IN_USE, IMGBOOT_SUBNET_IN_USE,
 *   IMGBOOT_NETWORK_FULL, IMGBOOT_NETWORK_FAILED
 */
export async function attachNetworks(request: AttachRequest): Promise<AttachedNetworks> {
  const backEnd = await chooseBackEnd();
  using _lock = await lockNetworks(request);
  const state = new NetworkState(request.paths);
  await sweepGone(state);
  const earlier = state.attachment(request.containerId);
  if (earlier !== undefined) await detach(state, earlier);
  const attachment = await plan(state, { ...request, backEnd });
  // From here on its addresses and ports are taken, and whoever comes next knows what to undo.
  state.writeAttachment(attachment);
  try {
    mkdirSync(attachment.runDirectory, { recursive: true, mode: 0o700 });
    await noteSharedChains();
    await backEnd.attach(attachment, `/proc/${request.pid}/ns/net`, request);
    await recordLinks(attachment);
    state.writeAttachment(attachment);
  } catch (error) {
    await detach(state, attachment);
    throw error;
  }
  updateHostsFiles(state.attachments());
  return describeAttachment(attachment);
}

/** What a container has; undefined where it is not attached. */
export function attachedNetworks(
  paths: AttachRequest['paths'],
  containerId: string,
): AttachedNetworks | undefined {
  const attachment = new NetworkState(paths).attachment(containerId);
  return attachment === undefined ? undefined : describeAttachment(attachment);
}

async function plan(
  state: NetworkState,
  request: AttachRequest & { backEnd: NetworkBackEnd },
): Promise<Attachment> {
  const process = identifyProcess(request.pid);
  if (process === undefined)
    throw new ImgbootError('IMGBOOT_NETWORK_FAILED', `the container's process ${request.pid} is gone`);
  checkNames(request);
  const networks: AttachedNetwork[] = [];
  for (const name of new Set(request.networks)) {
    const network = await usableNetwork(state, request, name);
    networks.push(planInterface(state, network, { backEnd: request.backEnd, index: networks.length }));
  }
  return {
    version: 1,
    process,
    backEnd: request.backEnd.name,
    runDirectory: storeRunDirectory(request.paths.root),
    containerId: request.containerId,
    containerName: request.containerName,
    networks,
    ports: await publishPorts(request.ports, state.attachments()),
    aliases: [...request.aliases],
    dns: [...request.dns],
    hostsFile: request.hostsFile,
  };
}

/** They become lines of the name server's files, and of hosts files. @throws IMGBOOT_USAGE */
function checkNames({ aliases, dns }: AttachRequest): void {
  const alias = aliases.find((name) => !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name));
  if (alias !== undefined)
    throw new ImgbootError('IMGBOOT_USAGE', `not a name on a network: ${JSON.stringify(alias)}`, {
      hint: 'a name has letters, digits, _, . and -, and begins with a letter or digit',
    });
  const server = dns.find((address) => isIP(address) === 0);
  if (server !== undefined)
    throw new ImgbootError('IMGBOOT_USAGE', `not the address of a name server: ${JSON.stringify(server)}`, {
      hint: 'give its IP address',
    });
}

/** A network whose bridge is up, or may be brought up: the host may have got a route there since it was made. */
async function usableNetwork(state: NetworkState, request: AttachRequest, name: string): Promise<Network> {
  const network = await ensureNetwork(request.paths, state, name);
  const subnet = readSubnet(network.subnet)!;
  const routes = await listRoutes();
  const other = routes.find((route) => route.device !== network.bridge && overlaps(route.subnet, subnet));
  if (other === undefined) return network;
  const inUse = state.attachments().some(({ networks }) => networks.some((at) => at.network === name));
  if (name !== DEFAULT_NETWORK || inUse)
    throw subnetInUse(
      `the subnet ${network.subnet} of the network ${name}`,
      `this host's route to ${formatSubnet(other.subnet)} through ${other.device}`,
    );
  // Nobody has chosen its subnet, and nobody is on it.
  state.removeNetwork(name);
  return ensureNetwork(request.paths, state, name);
}

function planInterface(
  state: NetworkState,
  network: Network,
  { backEnd, index }: { backEnd: NetworkBackEnd; index: number },
): AttachedNetwork {
  const here = state
    .attachments()
    .flatMap(({ networks }) => networks.filter((attached) => attached.network === network.name));
  const taken = new Set([network.gateway, ...here.map(({ address }) => address)].map(parseAddress));
  const address = freeAddress(readSubnet(network.subnet)!, taken);
  if (address === undefined)
    throw new ImgbootError(
      'IMGBOOT_NETWORK_FULL',
      `every address of the network ${network.name} (${network.subnet}) is taken by a container`,
      { hint: 'imgboot network create --subnet makes a larger one' },
    );
  return {
    network: network.name,
    bridge: network.bridge,
    subnet: network.subnet,
    gateway: network.gateway,
    internal: network.internal,
    dns: network.dns && backEnd.hasNameServer,
    hosts: network.dns && !backEnd.hasNameServer,
    interface: `eth${index}`,
    address: formatAddress(address),
    macAddress: undefined,
    linkIndex: undefined,
  };
}

/** Learns the interfaces' numbers: what is left of a container that is gone is found by them. */
async function recordLinks(attachment: Attachment): Promise<void> {
  const peers = await peersOf(attachment.process.pid);
  const links = await listLinks();
  for (const network of attachment.networks) {
    const peer = peers.get(network.interface);
    if (
      peer === undefined ||
      !links.some(({ index, bridge }) => index === peer.index && bridge === network.bridge)
    )
      throw new ImgbootError(
        'IMGBOOT_NETWORK_FAILED',
        `the container's ${network.interface} is not connected to the network ${network.network}`,
      );
    network.macAddress = peer.macAddress;
    network.linkIndex = peer.index;
  }
}

function describeAttachment(attachment: Attachment): AttachedNetworks {
  const { networks, containerName, aliases, dns } = attachment;
  const nameServers = networks.filter((network) => network.dns).map(({ gateway }) => gateway);
  const servers = dns.length > 0 ? dns : hostNameServers();
  return {
    backEnd: attachment.backEnd,
    interfaces: networks.map((network) => ({
      network: network.network,
      interface: network.interface,
      macAddress: network.macAddress ?? '',
      address: `${network.address}/${network.subnet.split('/')[1]}`,
      gateway: network.gateway,
    })),
    ports: attachment.ports,
    nameservers: nameServers.length > 0 ? nameServers : servers,
    searchDomains: nameServers.length > 0 ? [NAME_SERVER_DOMAIN] : [],
    hosts: networks.map(({ address }) => ({ address, names: [containerName, ...aliases] })),
  };
}
