import { readFileSync } from 'node:fs';
import { errnoOf } from '../../errors.ts';

/** Where systemd-resolved keeps the servers that it asks itself. */
const files = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

/** The host's name servers that a container can reach; none on its own loopback, which is another's there. */
export function hostNameServers(): string[] {
  for (const file of files) {
    const found = [...read(file).matchAll(/^\s*nameserver\s+(\S+)/gm)]
      .map((match) => match[1]!)
      .filter((address) => !address.startsWith('127.') && address !== '::1');
    if (found.length > 0) return found;
  }
  return [];
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
