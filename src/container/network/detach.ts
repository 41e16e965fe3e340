import { rmSync } from 'node:fs';
import { ImgbootError } from '../../errors.ts';
import { bootId, isSameProcess } from '../../system/process-identity.ts';
import { chooseBackEnd } from './choose-back-end.ts';
import { isFirewalldRunning, purgeFirewall } from './firewall.ts';
import { updateHostsFiles } from './hosts-files.ts';
import { listLinks, removeLinks } from './links.ts';
import { NameServer } from './name-server.ts';
import { NetworkState, lockNetworks, type AttachedNetwork, type Attachment } from './network-state.ts';
import { removeIdleRunDirectory } from './run-directory.ts';
import { StandInNamespace } from './stand-in.ts';
import type { DetachRequest } from './types.ts';

/**
 * Undoes all that was done on the host for a container, its namespace be there or not. Idempotent; killed in between,
 * the next call goes on.
 * @throws IMGBOOT_NETWORK_FAILED, CommandFailed
 */
export async function detachNetworks(request: DetachRequest): Promise<void> {
  const state = new NetworkState(request.paths);
  // The usual case of a container without networks costs no lock.
  if (state.attachment(request.containerId) === undefined && !state.hasStrays()) return;
  using _lock = await lockNetworks(request);
  state.removeStrays();
  const attachment = state.attachment(request.containerId);
  if (attachment !== undefined) await detach(state, attachment);
}

/** Undoes what is left of containers whose process is gone. Idempotent. */
export async function sweepNetworks(request: Omit<DetachRequest, 'containerId'>): Promise<void> {
  const state = new NetworkState(request.paths);
  if (!state.attachments().some(isGone) && !state.hasStrays()) return;
  using _lock = await lockNetworks(request);
  await sweepGone(state);
}

/** The same. The caller holds the lock. */
export async function sweepGone(state: NetworkState): Promise<void> {
  state.removeStrays();
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
  // What netavark undoes, our own means do faster where none of its rules has to stay.
  const isSimple = attachment.ports.length === 0 || attachment.networks.every(isLast);
  const asksBackEnd = attachment.backEnd === 'cni' || !isSimple || isFirewalldRunning();
  if (asksBackEnd) await askBackEnd(attachment);
  const ended = attachment.networks.filter(isLast);
  await removeInterfaces(attachment.networks, ended);
  const server = new NameServer(attachment.runDirectory);
  for (const network of attachment.networks.filter(({ dns }) => dns))
    server.withdraw(network.bridge, isLast(network) ? undefined : attachment.containerId);
  await purgeFirewall({
    words: [
      attachment.containerId,
      ...attachment.networks.map(({ address }) => `${address}/32`),
      ...ended.flatMap(({ subnet, bridge }) => [subnet, bridge]),
    ],
    bridges: ended.map(({ bridge }) => bridge),
    ports: attachment.networks.map(({ bridge }) => ({ bridge, containerId: attachment.containerId })),
  });
  if (others.length === 0) {
    await server.endIfIdle();
    rmSync(attachment.runDirectory, { recursive: true, force: true });
    removeIdleRunDirectory();
  }
}

/** What the back end cannot undo of what a killed command has left, is removed by our own means. */
async function askBackEnd(attachment: Attachment): Promise<void> {
  try {
    const backEnd = await chooseBackEnd(attachment.backEnd);
    new NameServer(attachment.runDirectory).forgetIfGone();
    if (isSameProcess(attachment.process)) {
      await backEnd.detach(attachment, `/proc/${attachment.process.pid}/ns/net`);
      return;
    }
    // The kernel takes its time with the interfaces of a namespace that is gone.
    await removeInterfaces(attachment.networks, []);
    await using namespace = await StandInNamespace.create(
      attachment.networks.map((network) => network.interface),
    );
    await backEnd.detach(attachment, namespace.path);
  } catch (error) {
    if (!(error instanceof ImgbootError)) throw error;
  }
}

/** The host's ends of interfaces, and all of the bridges that nobody is on any more. */
async function removeInterfaces(
  networks: readonly AttachedNetwork[],
  ended: readonly AttachedNetwork[],
): Promise<void> {
  const bridges = new Set(ended.map(({ bridge }) => bridge));
  const links = await listLinks();
  const doomed = links.filter(
    (link) =>
      bridges.has(link.name) ||
      bridges.has(link.bridge ?? '') ||
      networks.some(({ bridge, linkIndex }) => link.bridge === bridge && link.index === linkIndex),
  );
  // What is on a bridge is known by it: were the bridge gone first, who is killed here would leave the rest for ever.
  const [last, first] = [true, false].map((isBridge) =>
    doomed.filter(({ name }) => bridges.has(name) === isBridge),
  );
  await removeLinks([...first!, ...last!].map(({ name }) => name));
}
