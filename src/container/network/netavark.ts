import { dirname, join } from 'node:path';
import { ImgbootError } from '../../errors.ts';
import { runCommand } from '../../system/exec.ts';
import type { OperationOptions } from '../../system/progress.ts';
import type { NetworkBackEnd } from './back-end.ts';
import { NameServer } from './name-server.ts';
import type { Attachment } from './network-state.ts';
import type { PublishedPort } from './types.ts';

/** netavark, and aardvark-dns as the name server of its networks. @see https://github.com/containers/netavark */
export class NetavarkBackEnd implements NetworkBackEnd {
  readonly name = 'netavark' as const;
  readonly reason: string;
  readonly hasNameServer: boolean;
  readonly #program: string;
  readonly #nameServer: string | undefined;

  constructor(found: { program: string; nameServer: string | undefined; reason: string }) {
    this.reason = found.reason;
    this.hasNameServer = found.nameServer !== undefined;
    this.#program = found.program;
    this.#nameServer = found.nameServer;
  }

  async attach(attachment: Attachment, namespace: string, { signal }: OperationOptions): Promise<void> {
    const server = new NameServer(attachment.runDirectory);
    server.forgetIfGone();
    await this.#run('setup', attachment, { namespace, signal });
    const named = attachment.networks.find(({ dns }) => dns);
    if (named === undefined) return;
    const answers = (): Promise<boolean> => server.answersFor(nameOf(attachment), named.gateway);
    if (await answers()) return;
    // One that gets the signal before it has learnt to expect it ends.
    const restart = server.restartArguments();
    if (restart !== undefined) await runCommand(this.#nameServer!, restart, { signal });
    if (await answers()) return;
    throw new ImgbootError(
      'IMGBOOT_NETWORK_FAILED',
      `${this.#nameServer} does not answer at ${named.gateway} for the network ${named.network}`,
      { hint: 'imgboot network create --disable-dns makes a network without names' },
    );
  }

  async detach(attachment: Attachment, namespace: string): Promise<void> {
    await this.#run('teardown', attachment, { namespace, signal: undefined });
  }

  async #run(
    verb: 'setup' | 'teardown',
    attachment: Attachment,
    { namespace, signal }: { namespace: string; signal: AbortSignal | undefined },
  ): Promise<void> {
    // It takes no name server for one that is not there.
    const nameServer = this.#nameServer ?? join(dirname(this.#program), 'aardvark-dns');
    const options = ['--config', attachment.runDirectory, '--aardvark-binary', nameServer];
    const { stdout, stderr, exitCode } = await runCommand(this.#program, [...options, verb, namespace], {
      input: JSON.stringify(netavarkOptions(attachment)),
      signal,
      okStatuses: Array.from({ length: 126 }, (_, status) => status),
    });
    if (exitCode === 0) return;
    throw new ImgbootError(
      'IMGBOOT_NETWORK_FAILED',
      `${this.#program} ${verb} failed: ${errorIn(stdout) ?? (stderr || `exit status ${exitCode}`)}`,
    );
  }
}

/** The name that every container has beside its own. */
function nameOf({ containerId }: Attachment): string {
  return containerId.slice(0, 12);
}

/** Its names beside its own; the name server looks for small letters, whatever it is asked for. */
function namesOf(attachment: Attachment): string[] {
  const { containerName, aliases } = attachment;
  const names = [nameOf(attachment), ...[containerName, ...aliases].map((name) => name.toLowerCase())];
  return [...new Set(names)].filter((name) => name !== containerName);
}

/** It tells its failure on standard output. */
function errorIn(stdout: string): string | undefined {
  try {
    return (JSON.parse(stdout) as { error?: string }).error;
  } catch {
    return undefined;
  }
}

/** @see netavark, src/network/types.rs */
function netavarkOptions(attachment: Attachment): object {
  const { containerId, containerName, networks, ports, dns } = attachment;
  return {
    container_id: containerId,
    container_name: containerName,
    networks: Object.fromEntries(
      networks.map(({ bridge, interface: name, address }) => [
        bridge,
        {
          interface_name: name,
          static_ips: [address],
          aliases: namesOf(attachment),
        },
      ]),
    ),
    // By the names of their bridges, which no other store and no podman has: chains are named after them.
    network_info: Object.fromEntries(
      networks.map(({ bridge, subnet, gateway, internal, dns: hasNames }) => [
        bridge,
        {
          name: bridge,
          id: bridge,
          driver: 'bridge',
          network_interface: bridge,
          subnets: [{ subnet, gateway }],
          ipv6_enabled: false,
          internal,
          dns_enabled: hasNames,
          ipam_options: { driver: 'host-local' },
        },
      ]),
    ),
    // An empty list would bring the chains that ports need.
    ...(ports.length === 0 ? {} : { port_mappings: ports.map(portMapping) }),
    ...(dns.length === 0 ? {} : { dns_servers: dns }),
  };
}

function portMapping({ hostAddress, hostPort, containerPort, protocol }: PublishedPort): object {
  return {
    host_ip: hostAddress ?? '',
    host_port: hostPort,
    container_port: containerPort,
    protocol,
    range: 1,
  };
}
