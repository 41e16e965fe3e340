import { rmSync } from 'node:fs';
import { ImgbootError, errorMessage } from '../../errors.ts';
import { bootId, isSameProcess } from '../../system/process-identity.ts';
import { chooseBackEnd } from './choose-back-end.ts';
import { purgeFirewall } from './firewall.ts';
import { updateHostsFiles } from './hosts-files.ts';
import { listLinks, removeLink } from './links.ts';
import { NameServer } from './name-server.ts';
import { NetworkState, lockNetworks, type AttachedNetwork, type Attachment } from './network-state.ts';
import { removeIdleRunDirectory } from './run-directory.ts';
import { StandInNamespace } from './stand-in.ts';
import type { DetachRequest } from './types.ts';

/**
 * Undoes all that was done on the host for a container, its namespace be there or not. Idempotent; killed in between,
 * the next call goes on.
 * @throws IMGBOOT_NETWORK_FAILED where something of it is still there
 */
export async function detachNetworks(request: DetachRequest): Promise<void> {
  const state = new NetworkState(request.paths);
  // The usual case of a container without networks costs no lock.
  if (state.attachment(request.containerId) === undefined) return;
  using _lock = await lockNetworks(request);
  const attachment = state.attachment(request.containerId);
  if (attachment !== undefined) await detach(state, attachment);
}

/** Undoes what is left of containers whose process is gone. Idempotent. */
export async function sweepNetworks(request: Omit<DetachRequest, 'containerId'>): Promise<void> {
  const state = new NetworkState(request.paths);
  if (!state.attachments().some(isGone)) return;
  using _lock = await lockNetworks(request);
  await sweepGone(state);
}

/** The same. The caller holds the lock. */
export async function sweepGone(state: NetworkState): Promise<void> {
  for (const attachment of state.attachments()) if (isGone(attachment)) await detach(state, attachment);
}

function isGone({ process }: Attachment): boolean {
  return !isSameProcess(process);
}

/**
 * Undoes an attachment, or what it has of some networks. The caller holds the lock.
 * @param networks all when undefined
 */
export async function detach(
  state: NetworkState,
  attachment: Attachment,
  networks: readonly AttachedNetwork[] = attachment.networks,
): Promise<void> {
  // Nothing outlives a boot but the file.
  if (attachment.process.bootId === bootId()) await undo(state, { ...attachment, networks: [...networks] });
  const left = attachment.networks.filter((network) => !networks.includes(network));
  if (left.length > 0) state.writeAttachment({ ...attachment, networks: left });
  else state.removeAttachment(attachment.containerId);
  updateHostsFiles(state.attachments());
}

async function undo(state: NetworkState, attachment: Attachment): Promise<void> {
  const others = state
    .attachments()
    .filter(({ containerId }) => containerId !== attachment.containerId)
    .flatMap(({ networks }) => networks);
  const isLast = ({ bridge }: AttachedNetwork): boolean => !others.some((other) => other.bridge === bridge);
  const failure = await askBackEnd(attachment);
  const server = new NameServer(attachment.runDirectory);
  for (const network of attachment.networks) {
    if (network.dns) server.withdraw(network.bridge, isLast(network) ? undefined : attachment.containerId);
    await removeLinks(network, isLast(network));
  }
  const ended = attachment.networks.filter(isLast);
  await purgeFirewall({
    words: [
      attachment.containerId,
      ...attachment.networks.map(({ address }) => `${address}/32`),
      ...ended.flatMap(({ subnet, bridge }) => [subnet, bridge]),
    ],
    bridges: ended.map(({ bridge }) => bridge),
  });
  if (others.length === 0) {
    await server.endIfIdle();
    rmSync(attachment.runDirectory, { recursive: true, force: true });
    removeIdleRunDirectory();
  }
  await verify(attachment, failure);
}

/** What the back end cannot undo is removed by our own means; why it could not is kept for when those fail. */
async function askBackEnd(attachment: Attachment): Promise<unknown> {
  try {
    const backEnd = await chooseBackEnd(attachment.backEnd);
    new NameServer(attachment.runDirectory).forgetIfGone();
    if (isSameProcess(attachment.process)) {
      await backEnd.detach(attachment, `/proc/${attachment.process.pid}/ns/net`);
      return undefined;
    }
    // The kernel takes its time with the interfaces of a namespace that is gone.
    for (const network of attachment.networks) await removeLinks(network, false);
    await using namespace = await StandInNamespace.create(
      attachment.networks.map((network) => network.interface),
    );
    await backEnd.detach(attachment, namespace.path);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The host's end of an interface; with `bridge`, all that the bridge has, and itself. */
async function removeLinks(network: AttachedNetwork, bridge: boolean): Promise<void> {
  for (const link of await listLinks()) {
    const ours = link.bridge === network.bridge && (bridge || link.index === network.linkIndex);
    if (ours || (bridge && link.name === network.bridge)) await removeLink(link.name);
  }
}

async function verify(attachment: Attachment, failure: unknown): Promise<void> {
  const links = await listLinks();
  const left = attachment.networks.find(({ linkIndex, bridge }) =>
    links.some((link) => link.bridge === bridge && link.index === linkIndex),
  );
  if (left === undefined) return;
  throw new ImgbootError(
    'IMGBOOT_NETWORK_FAILED',
    `the interface of ${attachment.containerName} on the network ${left.network} cannot be removed${failure === undefined ? '' : `: ${errorMessage(failure)}`}`,
    { cause: failure },
  );
}
