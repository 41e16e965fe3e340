import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { ImgbootError, errnoOf, errorMessage } from '../../errors.ts';
import type { Attachment } from './network-state.ts';
import { describePort } from './port.ts';
import type { PortMapping, PublishedPort } from './types.ts';

/** How often a free port is asked for, where the one that the kernel gave is another container's. */
const TRIES = 100;

/**
 * The ports with their host ports. What another container has published, or a program of the host listens on, cannot
 * be had.
 * @throws IMGBOOT_PORT_IN_USE, IMGBOOT_NO_SUCH_ADDRESS
 */
export async function publishPorts(
  ports: readonly PortMapping[],
  attachments: readonly Attachment[],
): Promise<PublishedPort[]> {
  const published: PublishedPort[] = [];
  const owner = (port: PublishedPort): string | undefined => {
    const other = attachments.find((attachment) => attachment.ports.some((known) => clash(known, port)));
    if (other !== undefined) return `the container ${other.containerName} has published it`;
    return published.some((known) => clash(known, port)) ? 'it is to be published twice' : undefined;
  };
  for (const port of ports) {
    if (port.hostPort === undefined) {
      published.push(await anyPort(port, (candidate) => owner(candidate) === undefined));
      continue;
    }
    const wanted = { ...port, hostPort: port.hostPort };
    const why = owner(wanted) ?? (await whyNotFree(wanted));
    if (why !== undefined) throw portInUse(wanted, why);
    published.push(wanted);
  }
  return published;
}

function clash(a: PublishedPort, b: PublishedPort): boolean {
  const sameAddress =
    a.hostAddress === undefined || b.hostAddress === undefined || a.hostAddress === b.hostAddress;
  return a.protocol === b.protocol && a.hostPort === b.hostPort && sameAddress;
}

async function anyPort(
  port: PortMapping,
  isFree: (candidate: PublishedPort) => boolean,
): Promise<PublishedPort> {
  for (let tries = 1; tries <= TRIES; tries += 1) {
    const candidate = { ...port, hostPort: await listenOnce({ ...port, hostPort: 0 }) };
    if (isFree(candidate)) return candidate;
  }
  throw portInUse(port, 'no free port was found');
}

/** Undefined where it is free. */
async function whyNotFree(port: PublishedPort): Promise<string | undefined> {
  try {
    await listenOnce(port);
    return undefined;
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return 'a program of this host listens on it';
    if (errnoOf(error) !== 'EADDRNOTAVAIL') return errorMessage(error);
    throw new ImgbootError('IMGBOOT_NO_SUCH_ADDRESS', `this host has no address ${port.hostAddress}`, {
      cause: error,
      hint: 'publish the port at one of its own, or leave the address away',
    });
  }
}

/** Listens for a moment. @returns the port, which the kernel chooses for 0 */
async function listenOnce({ hostAddress, hostPort, protocol }: PublishedPort): Promise<number> {
  const host = hostAddress ?? '0.0.0.0';
  const socket = protocol === 'tcp' ? createServer() : createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('listening', resolve);
    if ('listen' in socket) socket.listen({ port: hostPort, host, exclusive: true });
    else socket.bind({ port: hostPort, address: host, exclusive: true });
  });
  const { port } = socket.address() as { port: number };
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

function portInUse(port: PortMapping, why: string): ImgbootError {
  return new ImgbootError('IMGBOOT_PORT_IN_USE', `cannot publish ${describePort(port)}: ${why}`, {
    hint: 'choose another port of the host, or leave it away and a free one is chosen',
  });
}
