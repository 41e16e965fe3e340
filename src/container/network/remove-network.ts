import { ImgbootError } from '../../errors.ts';
import type { StorePaths } from '../../store/paths.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { detach, sweepGone } from './detach.ts';
import { NetworkState, lockNetworks } from './network-state.ts';

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
export async function removeNetwork(paths: StorePaths, request: RemoveNetworkRequest): Promise<string> {
  using _lock = await lockNetworks(request);
  const state = new NetworkState(paths);
  await sweepGone(state);
  const { name } = state.network(request.name);
  const users = state
    .attachments()
    .filter(({ networks }) => networks.some(({ network }) => network === name));
  if (users.length > 0 && !request.force) {
    const names = users.map(({ containerName }) => containerName).join(', ');
    throw new ImgbootError('IMGBOOT_NETWORK_IN_USE', `the network ${name} is in use by ${names}`, {
      hint: 'stop them first, or remove it with --force: they lose their interface on it',
    });
  }
  for (const attachment of users) {
    const theirs = attachment.networks.filter(({ network }) => network === name);
    await detach(state, attachment, theirs);
  }
  state.removeNetwork(name);
  return name;
}
