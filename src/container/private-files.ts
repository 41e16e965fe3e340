import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoOf } from '../errors.ts';
import type { AttachedNetworks } from './network/types.ts';
import { hasNetworks, type Container } from './record.ts';
import { mappedRoot } from './writable-layer.ts';

/** Addresses that name the host itself, and lead nowhere from a network namespace of one's own. */
const LOOPBACK = /^(127\.|::1$)/;

/** Writes the container's own /etc/hosts, /etc/resolv.conf and /etc/hostname, before it has its networks. */
export function writePrivateFiles({ record, paths }: Container): void {
  mkdirSync(paths.files, { recursive: true, mode: 0o755 });
  put(paths.hostnameFile, `${record.hostname}\n`);
  put(paths.hosts, hostsFile(record));
  put(paths.resolvConf, resolvConf(record, undefined));
  const owner = mappedRoot(record);
  if (owner === undefined) return;
  for (const path of [paths.hostnameFile, paths.hosts, paths.resolvConf])
    chownSync(path, owner.uid, owner.gid);
}

/**
 * Adds what its networks gave a container, in place: it has the very files mounted. What is in the hosts file of others
 * stays. The caller holds the networks' lock.
 */
export function addNetworks({ record, paths }: Container, attached: AttachedNetworks): void {
  const own = attached.hosts.map(
    ({ address, names }) => `${address}\t${[record.hostname, ...names].join(' ')}\n`,
  );
  put(paths.hosts, `${own.join('')}${readFileSync(paths.hosts, 'utf8')}`);
  put(paths.resolvConf, resolvConf(record, attached));
}

function put(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o644 });
}

function hostsFile(record: Container['record']): string {
  const { network, hostname } = record;
  const extra = network.extraHosts.map((pair) => {
    const colon = pair.indexOf(':');
    return `${pair.slice(colon + 1)}\t${pair.slice(0, colon)}`;
  });
  if (network.names.includes('host')) return [...extra, readIfThere('/etc/hosts')].join('\n');
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...extra,
    // Without a network it can only mean itself.
    ...(hasNetworks(record) ? [] : [`127.0.1.1\t${hostname}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function resolvConf({ network }: Container['record'], attached: AttachedNetworks | undefined): string {
  const host = readIfThere('/etc/resolv.conf');
  const values = (key: string): string[] =>
    host.split('\n').flatMap((line) => {
      const [first, ...rest] = line.trim().split(/\s+/);
      return first === key ? rest : [];
    });
  const onHost = network.names.includes('host');
  const nameservers =
    attached === undefined
      ? network.dns.length > 0
        ? network.dns
        : values('nameserver').filter((address) => onHost || !LOOPBACK.test(address))
      : attached.nameservers;
  const search =
    network.dnsSearch.length > 0
      ? network.dnsSearch
      : [...(attached?.searchDomains ?? []), ...values('search')];
  const options = network.dnsOptions.length > 0 ? network.dnsOptions : values('options');
  const lines = [
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(search.length === 0 || search.includes('.') ? [] : [`search ${search.join(' ')}`]),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ];
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function readIfThere(path: string): string {
  try {
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  } catch (error) {
    if (errnoOf(error) === 'EACCES') return '';
    throw error;
  }
}
