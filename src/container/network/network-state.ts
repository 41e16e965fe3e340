import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf } from '../../errors.ts';
import type { StorePaths } from '../../store/paths.ts';
import { replaceFile } from '../../system/durable.ts';
import { FileLock } from '../../system/lock.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { machineRunDirectory } from './run-directory.ts';
import type { PublishedPort } from './types.ts';

/** A network as the store keeps it. */
export interface Network {
  version: 1;
  name: string;
  /** Twelve hex digits. */
  id: string;
  created: string;
  /** The bridge's interface on the host; the network's own, whatever other stores have. */
  bridge: string;
  subnet: string;
  gateway: string;
  /** Nothing is reached beyond it. */
  internal: boolean;
  /** Its containers find each other by name. */
  dns: boolean;
}

/** An interface that a container has, or may have: its address is taken while this is there. */
export interface AttachedNetwork {
  network: string;
  bridge: string;
  subnet: string;
  gateway: string;
  internal: boolean;
  /** The name server answers for it. */
  dns: boolean;
  /** In the place of a name server, the hosts files of its containers have their names. */
  hosts: boolean;
  interface: string;
  address: string;
  /** Known once it is made. */
  macAddress: string | undefined;
  /** The host's end, by the number that no other interface gets. */
  linkIndex: number | undefined;
}

/**
 * All that was done on the host for one container, or is about to be: written before the first step, and removed after
 * the last one is undone.
 */
export interface Attachment {
  version: 1;
  backEnd: 'netavark' | 'cni';
  /** Where the name server's files are. */
  runDirectory: string;
  containerId: string;
  containerName: string;
  /** In the container's network namespace. After another boot of the host, nothing of all this is there. */
  process: ProcessIdentity;
  networks: AttachedNetwork[];
  ports: PublishedPort[];
  aliases: string[];
  dns: string[];
  /** The container's hosts file; kept up to date where nobody resolves names. */
  hostsFile: string | undefined;
}

/**
 * Whoever changes networks holds it. It is the machine's and not the store's: several stores share bridges' names,
 * routes and firewall.
 */
export async function lockNetworks({ signal }: OperationOptions): Promise<FileLock> {
  return FileLock.acquire(join(machineRunDirectory(), 'lock'), 'exclusive', { signal });
}

/** The files of a store's networks. Writers hold the lock. */
export class NetworkState {
  readonly #networks: string;
  readonly #attachments: string;

  constructor(paths: Pick<StorePaths, 'root'>) {
    this.#networks = join(paths.root, 'networks');
    this.#attachments = join(this.#networks, 'attached');
  }

  /** By name. */
  networks(): Network[] {
    return readAll<Network>(this.#networks).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): Network | undefined {
    return this.networks().find((network) => network.name === name);
  }

  /** @throws IMGBOOT_NO_SUCH_NETWORK, naming those there are */
  network(name: string): Network {
    const networks = this.networks();
    const found = networks.find((network) => network.name === name || network.id === name);
    if (found !== undefined) return found;
    throw new ImgbootError('IMGBOOT_NO_SUCH_NETWORK', `there is no network ${JSON.stringify(name)}`, {
      hint:
        networks.length === 0
          ? `imgboot network create ${name}`
          : `there are ${networks.map((network) => network.name).join(', ')}; imgboot network create makes one`,
    });
  }

  writeNetwork(network: Network): void {
    this.#write(this.#networks, network.name, network);
  }

  removeNetwork(name: string): void {
    rmSync(join(this.#networks, `${name}.json`), { force: true });
  }

  attachments(): Attachment[] {
    return readAll<Attachment>(this.#attachments);
  }

  attachment(containerId: string): Attachment | undefined {
    return this.attachments().find((attachment) => attachment.containerId === containerId);
  }

  writeAttachment(attachment: Attachment): void {
    this.#write(this.#attachments, attachment.containerId, attachment);
  }

  removeAttachment(containerId: string): void {
    rmSync(join(this.#attachments, `${containerId}.json`), { force: true });
  }

  /** Whether a command that was killed has left a file half written. */
  hasStrays(): boolean {
    return this.#strays().length > 0;
  }

  removeStrays(): void {
    for (const path of this.#strays()) rmSync(path, { force: true });
  }

  #strays(): string[] {
    return [this.#networks, this.#attachments].flatMap((directory) =>
      namesIn(directory)
        .filter((name) => name.startsWith('.new-'))
        .map((name) => join(directory, name)),
    );
  }

  #write(directory: string, name: string, value: object): void {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    replaceFile(join(directory, `${name}.json`), `${JSON.stringify(value, null, 2)}\n`);
  }
}

/** The JSON files of a directory; one that goes meanwhile is none. */
function readAll<Value>(directory: string): Value[] {
  return namesIn(directory)
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
    .flatMap((name) => {
      try {
        return JSON.parse(readFileSync(join(directory, name), 'utf8')) as Value;
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        if (!(error instanceof SyntaxError)) throw error;
        throw new ImgbootError('IMGBOOT_DAMAGED_STATE', `${join(directory, name)} is damaged`, {
          cause: error,
          hint: 'remove the file, and what it was written for',
        });
      }
    });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
