import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { attachNetworks } from './network/attach.ts';
import { lockNetworks } from './network/network-state.ts';
import { addNetworks } from './private-files.ts';
import type { Container } from './record.ts';

/** Attaches a container that is created to its networks, and writes what they gave it into its private files. */
export async function attachContainer(
  store: Store,
  container: Container,
  { pid, ...options }: OperationOptions & { pid: number },
): Promise<void> {
  const { record, paths } = container;
  const { names, ports, aliases, dns } = record.network;
  const attached = await attachNetworks({
    paths: store.paths,
    containerId: record.id,
    containerName: record.name,
    pid,
    networks: names,
    ports,
    aliases,
    dns,
    hostsFile: paths.hosts,
    ...options,
  });
  using _networks = await lockNetworks(options);
  addNetworks(container, attached);
}
