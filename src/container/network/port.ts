import { isIP } from 'node:net';
import { ImgbootError } from '../../errors.ts';
import type { PortMapping } from './types.ts';

const HIGHEST_PORT = 65_535;

/**
 * The published ports of one `-p [[IP:][HOSTPORT]:]CONTAINERPORT[/PROTOCOL]`; both ports may be ranges of one length,
 * `8000-8003`. An IPv6 address stands in brackets. Pure.
 * @throws IMGBOOT_USAGE
 */
export function parsePort(text: string): PortMapping[] {
  const match = /^(?:(?:(\[[^\]]*\]|[^:[\]]*):)?([0-9-]*):)?([0-9-]+)(?:\/([a-z]+))?$/.exec(text);
  if (match === null) throw notAPort(text, 'it has not that form');
  const [, address = '', host = '', container = '', protocol = 'tcp'] = match;
  if (protocol !== 'tcp' && protocol !== 'udp')
    throw notAPort(text, `the protocol ${protocol} cannot be published`);
  const hostAddress = parseAddress(text, address.replace(/^\[(.*)\]$/, '$1'));
  const containerPorts = parseRange(text, container);
  const hostPorts = host === '' ? undefined : parseRange(text, host);
  if (hostPorts !== undefined && hostPorts.length !== containerPorts.length)
    throw notAPort(text, 'the two ranges differ in length');
  return containerPorts.map((containerPort, index) => ({
    hostAddress,
    hostPort: hostPorts?.[index],
    containerPort,
    protocol,
  }));
}

/** A published port as docker writes it: `0.0.0.0:8080->80/tcp`. */
export function describePort({ hostAddress, hostPort, containerPort, protocol }: PortMapping): string {
  const address = hostAddress ?? '0.0.0.0';
  return `${address.includes(':') ? `[${address}]` : address}:${hostPort ?? ''}->${containerPort}/${protocol}`;
}

function parseAddress(text: string, address: string): string | undefined {
  if (address === '' || address === '0.0.0.0') return undefined;
  if (isIP(address) === 4) return address;
  throw notAPort(text, `${address} is no IPv4 address`);
}

function parseRange(text: string, range: string): number[] {
  const [first = Number.NaN, last = first, more] = range
    .split('-')
    .map((part) => (part === '' ? Number.NaN : Number(part)));
  if (more !== undefined || !isPort(first) || !isPort(last) || last < first)
    throw notAPort(text, `${range} is no port, nor a range of ports`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= HIGHEST_PORT;
}

function notAPort(text: string, why: string): ImgbootError {
  return new ImgbootError('IMGBOOT_USAGE', `not a port to publish: ${JSON.stringify(text)}: ${why}`, {
    hint: 'a published port is [IP:][HOSTPORT:]CONTAINERPORT[/tcp|udp], such as 127.0.0.1:8080:80 or 8000-8003:80-83',
  });
}
