import { ImgbootError } from '../../errors.ts';
import type { Store } from '../../store/store.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { listContainers } from '../record.ts';
import { detach, sweepGone } from './detach.ts';
import { NetworkState, lockNetworks } from './network-state.ts';
import { DEFAULT_NETWORK } from './types.ts';

export interface RemoveNetworkRequest extends OperationOptions {
  name: string;
  /** Running containers lose their interface on it. */
  force: boolean;
}

/**
 * Removes a network.
 * @returns its name
 * @throws IMGBOOT_NO_SUCH_NETWORK, IMGBOOT_NETWORK_IN_USE
 */
export async function removeNetwork(store: Store, request: RemoveNetworkRequest): Promise<string> {
  using _lock = await lockNetworks(request);
  const state = new NetworkState(store.paths);
  await sweepGone(state);
  const { name } = state.network(request.name);
  const users = state
    .attachments()
    .filter(({ networks }) => networks.some(({ network }) => network === name));
  const names = new Set([...users.map(({ containerName }) => containerName), ...waiting(store, name)]);
  if (names.size > 0 && !request.force)
    throw new ImgbootError(
      'IMGBOOT_NETWORK_IN_USE',
      `the network ${name} is in use by ${[...names].join(', ')}`,
      { hint: 'remove them first, or the network with --force: they lose their interface on it' },
    );
  for (const attachment of users) {
    const theirs = attachment.networks.filter(({ network }) => network === name);
    await detach(state, attachment, theirs);
  }
  state.removeNetwork(name);
  return name;
}

/** The names of containers that want the network when they run. The default one is made again for them. */
function waiting(store: Store, network: string): string[] {
  if (network === DEFAULT_NETWORK) return [];
  return listContainers(store)
    .filter(({ record }) => record.network.names.includes(network))
    .map(({ record }) => record.name);
}
