import { join } from 'node:path';
import { ImgbootError } from '../../errors.ts';
import { runCommand } from '../../system/exec.ts';
import type { OperationOptions } from '../../system/progress.ts';
import type { NetworkBackEnd } from './back-end.ts';
import type { AttachedNetwork, Attachment } from './network-state.ts';

/** In the order in which they are added. Addresses are ours to choose, so that there is one list of them. */
const chain = ['bridge', 'portmap', 'firewall'] as const;
export const cniPlugins = [...chain, 'static', 'loopback'] as const;

/** The first version that all three know the result of. */
const CNI_VERSION = '0.4.0';

/** The CNI plugins of containernetworking. @see https://www.cni.dev/docs/spec/ */
export class CniBackEnd implements NetworkBackEnd {
  readonly name = 'cni' as const;
  readonly reason: string;
  readonly hasNameServer = false;
  readonly #directory: string;

  constructor(found: { directory: string; reason: string }) {
    this.reason = found.reason;
    this.#directory = found.directory;
  }

  async attach(attachment: Attachment, namespace: string, { signal }: OperationOptions): Promise<void> {
    const loopback = { cniVersion: CNI_VERSION, name: 'lo', type: 'loopback' };
    await this.#run('ADD', loopback, { attachment, namespace, interface: 'lo', signal });
    for (const [index, network] of attachment.networks.entries()) {
      const ports = index === 0 ? attachment.ports : [];
      let result: unknown;
      for (const plugin of chain) {
        if (plugin !== 'bridge' && network.internal) continue;
        const config = { ...pluginConfig(plugin, network, ports), prevResult: result };
        result = await this.#run('ADD', config, {
          attachment,
          namespace,
          interface: network.interface,
          signal,
        });
      }
    }
  }

  async detach(attachment: Attachment, namespace: string): Promise<void> {
    const failures: unknown[] = [];
    for (const [index, network] of attachment.networks.entries()) {
      const ports = index === 0 ? attachment.ports : [];
      for (const plugin of chain.toReversed()) {
        const place = { attachment, namespace, interface: network.interface, signal: undefined };
        const config = { ...pluginConfig(plugin, network, ports), prevResult: resultOf(network, namespace) };
        await this.#run('DEL', config, place).catch((error: unknown) => failures.push(error));
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async #run(
    command: 'ADD' | 'DEL',
    config: { type: string },
    place: {
      attachment: Attachment;
      namespace: string;
      interface: string;
      signal: AbortSignal | undefined;
    },
  ): Promise<unknown> {
    const program = join(this.#directory, config.type);
    const { stdout, exitCode } = await runCommand(program, [], {
      input: JSON.stringify(config),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: place.attachment.containerId,
        CNI_NETNS: place.namespace,
        CNI_IFNAME: place.interface,
        CNI_PATH: this.#directory,
      },
      signal: place.signal,
      okStatuses: [0, 1],
    });
    const result = stdout === '' ? undefined : (JSON.parse(stdout) as { msg?: string; details?: string });
    if (exitCode === 0) return result;
    throw new ImgbootError(
      'IMGBOOT_NETWORK_FAILED',
      `${program} ${command} failed: ${[result?.msg, result?.details].filter(Boolean).join(': ')}`,
    );
  }
}

function pluginConfig(
  plugin: (typeof chain)[number],
  network: AttachedNetwork,
  ports: Attachment['ports'],
): { type: string } {
  const common = { cniVersion: CNI_VERSION, name: network.bridge, type: plugin };
  switch (plugin) {
    case 'bridge':
      return {
        ...common,
        bridge: network.bridge,
        isGateway: true,
        ipMasq: !network.internal,
        hairpinMode: true,
        ipam: {
          type: 'static',
          addresses: [{ address: withPrefix(network), gateway: network.gateway }],
          ...(network.internal ? {} : { routes: [{ dst: '0.0.0.0/0', gw: network.gateway }] }),
        },
      } as { type: string };
    case 'portmap':
      return {
        ...common,
        capabilities: { portMappings: true },
        runtimeConfig: {
          portMappings: ports.map(({ hostAddress, hostPort, containerPort, protocol }) => ({
            hostIP: hostAddress ?? '',
            hostPort,
            containerPort,
            protocol,
          })),
        },
      } as { type: string };
    case 'firewall':
      return { ...common, backend: 'iptables' } as { type: string };
    default:
      return plugin satisfies never;
  }
}

/** What the plugins said when it was made: some undo only what they are told of. */
function resultOf(network: AttachedNetwork, namespace: string): object {
  return {
    cniVersion: CNI_VERSION,
    interfaces: [{ name: network.interface, sandbox: namespace }],
    ips: [{ version: '4', interface: 0, address: withPrefix(network), gateway: network.gateway }],
  };
}

function withPrefix({ address, subnet }: AttachedNetwork): string {
  return `${address}/${subnet.split('/')[1]}`;
}
