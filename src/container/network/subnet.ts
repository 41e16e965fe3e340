import { isIPv4 } from 'node:net';
import { ImgbootError } from '../../errors.ts';

/** An IPv4 network. Addresses are numbers, the first byte the highest. */
export interface Subnet {
  base: number;
  prefixLength: number;
}

/** Too small for a gateway and a container below that; larger ones than 8 are nobody's network. */
const LONGEST_PREFIX = 30;
const SHORTEST_PREFIX = 8;

/** @throws IMGBOOT_USAGE for what is no IPv4 network, or has bits beyond its prefix */
export function parseSubnet(text: string): Subnet {
  const subnet = readSubnet(text);
  if (
    subnet !== undefined &&
    subnet.prefixLength >= SHORTEST_PREFIX &&
    subnet.prefixLength <= LONGEST_PREFIX &&
    firstAddress(subnet) === subnet.base
  )
    return subnet;
  throw new ImgbootError('IMGBOOT_USAGE', `not a subnet for containers: ${JSON.stringify(text)}`, {
    hint: `a subnet is an IPv4 network with a prefix of ${SHORTEST_PREFIX} to ${LONGEST_PREFIX} bits, such as 10.89.5.0/24`,
  });
}

/** `ADDRESS[/PREFIX]` as routes have it; undefined for anything else. */
export function readSubnet(text: string): Subnet | undefined {
  const [address = '', prefix = '32'] = text.split('/');
  const prefixLength = Number(prefix);
  if (!isIPv4(address) || !/^[0-9]+$/.test(prefix) || prefixLength > 32) return undefined;
  return { base: parseAddress(address), prefixLength };
}

export function formatSubnet({ base, prefixLength }: Subnet): string {
  return `${formatAddress(base)}/${prefixLength}`;
}

export function parseAddress(text: string): number {
  return text.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

export function contains(subnet: Subnet, address: number): boolean {
  return address >= firstAddress(subnet) && address <= lastAddress(subnet);
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return firstAddress(a) <= lastAddress(b) && firstAddress(b) <= lastAddress(a);
}

/** The network's own address. */
export function firstAddress({ base, prefixLength }: Subnet): number {
  const size = 2 ** (32 - prefixLength);
  return Math.floor(base / size) * size;
}

/** The broadcast address. */
export function lastAddress(subnet: Subnet): number {
  return firstAddress(subnet) + 2 ** (32 - subnet.prefixLength) - 1;
}

/** The lowest address for a container that is not taken; undefined where there is none left. */
export function freeAddress(subnet: Subnet, taken: ReadonlySet<number>): number | undefined {
  for (let address = firstAddress(subnet) + 1; address < lastAddress(subnet); address += 1)
    if (!taken.has(address)) return address;
  return undefined;
}
