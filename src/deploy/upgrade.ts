import { ImgbootError } from '../errors.ts';
import { engineChain, takeImage } from '../engine/take-image.ts';
import { chainIds } from '../image/chain-id.ts';
import type { ChainId } from '../image/digest.ts';
import { isEngineName, parseEngineName } from '../image/engine-name.ts';
import { inspectRemote } from '../image/inspect-remote.ts';
import { parseReference, storedName } from '../image/reference.ts';
import { imageName, type RegistryOptions } from '../image/transport.ts';
import type { ModuleSelection } from '../initramfs/module-request.ts';
import { pullImage } from '../store/pull.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { addVersion, type Deployed } from './add-version.ts';
import { Change, type ChangeOptions } from './change.ts';
import { newCollisions, type Collisions } from './collisions.ts';
import { findDeployment, noDeployments, presentVersion, requireDeployments } from './find.ts';
import type { Gate } from './gate.ts';

export interface UpgradeRequest extends ChangeOptions, RegistryOptions {
  /** Of the deployment; the one that is booted by default when undefined. */
  name: string | undefined;
  modules?: ModuleSelection | undefined;
  /** A new version becomes the default only where this lets it. */
  gate?: Gate | undefined;
}

export interface Upgraded {
  name: string;
  reference: string;
  /** The version that is the newest of the deployment now. */
  id: string;
  /** There is a newer image than that version's, or was before it was made. */
  newer: boolean;
  /**
   * Of the top layer with the newer image; undefined where there is none, or it has to be fetched before anything can be
   * said of it.
   */
  collisions?: Collisions | undefined;
  /** Undefined where nothing was made. */
  deployed?: Deployed | undefined;
}

/** Says whether there is a newer image for a deployment, and where its top layer collides with that; changes nothing. */
export async function checkUpgrade(store: Store, request: UpgradeRequest): Promise<Upgraded> {
  const checked = await findNewer(store, request);
  const { name, reference, newer } = checked;
  if (!newer || isEngineName(reference) || isRemote(reference)) return checked;
  const deployments = requireDeployments(store.paths);
  const present = presentVersion(deployments, findDeployment(deployments, name));
  const image = store.image(reference);
  return {
    ...checked,
    collisions: await newCollisions(store, { ...request, image, settings: present, present }),
  };
}

async function findNewer(store: Store, request: UpgradeRequest): Promise<Upgraded> {
  const deployment = findDeployment(requireDeployments(store.paths), request.name);
  const newest = deployment.versions.at(-1)!;
  const newer = (await currentChain(store, { ...request, reference: newest.reference })) !== newest.chain;
  return {
    name: deployment.name,
    reference: newest.reference,
    id: `${deployment.name}/${newest.number}`,
    newer,
  };
}

/**
 * Makes a version of the newest image of a deployment's reference, as {@link deployImage} does, and the default; what it
 * is booted with stays. An image that the newest version has already is not deployed again, also where that version was
 * rolled back from. An image of a registry is pulled.
 */
export async function upgrade(store: Store, request: UpgradeRequest): Promise<Upgraded> {
  const checked = await findNewer(store, request);
  if (!checked.newer) return checked;
  const { name, reference } = checked;
  if (isEngineName(reference)) await takeImage(store, reference, request);
  else if (isRemote(reference)) await pullImage(store, { ...request, from: imageName(reference), reference });
  const deployed = await renew(store, { ...request, name, reference });
  return { name, reference, id: deployed.id, newer: true, collisions: deployed.collisions, deployed };
}

/** Has a deployment follow another image from now on, and makes a version of it. An image of a registry is pulled. */
export async function switchImage(
  store: Store,
  request: UpgradeRequest & { reference: string },
): Promise<Deployed> {
  const { name } = findDeployment(requireDeployments(store.paths), request.name);
  const reference = await takeImage(store, request.reference, request);
  if (!isEngineName(reference) && !hasImage(store, reference) && isRemote(reference))
    await pullImage(store, { ...request, from: imageName(reference), reference });
  return await renew(store, { ...request, name, reference });
}

function hasImage(store: Store, text: string): boolean {
  return store.images().some(({ reference }) => reference === storedName(text));
}

/** A version of another image, otherwise as the deployment is booted now. */
async function renew(
  store: Store,
  request: OperationOptions & UpgradeRequest & { name: string; reference: string },
): Promise<Deployed> {
  const { name, progress, signal, bootDirectory, modules, gate } = request;
  const findMachine = (): never => {
    throw noDeployments();
  };
  using change = await Change.begin(store, { findMachine, bootDirectory, progress, signal });
  const deployment = findDeployment(change.deployments, name);
  const { writable, append, topLayer, persist } = presentVersion(change.deployments, deployment);
  const image = store.image(request.reference);
  const reference = image.reference ?? image.id;
  const settings = { reference, writable, append, topLayer, persist };
  return await addVersion(store, {
    change,
    name,
    image,
    settings,
    keep: deployment.keep,
    modules,
    gate,
    progress,
    signal,
  });
}

/** Of the image that a reference has now: in its registry, or in the store. */
async function currentChain(
  store: Store,
  { reference, ...options }: UpgradeRequest & { reference: string },
): Promise<ChainId> {
  const engine = parseEngineName(reference);
  if (engine !== undefined) return await engineChain(engine, options);
  if (!isRemote(reference)) return localChain(store, reference);
  options.progress?.({ step: `looking for a newer ${reference}` });
  const config = await inspectRemote(imageName(reference), options);
  return chainIds(config.rootfs.diff_ids).at(-1)!;
}

function localChain(store: Store, reference: string): ChainId {
  if (reference.startsWith('sha256:'))
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      `the deployment follows the image ${reference}, which never changes`,
      {
        hint: 'give it a name to follow: imgboot switch IMAGE',
      },
    );
  return store.image(reference).layers.at(-1)!.chainId;
}

/** Whether a reference names a registry: as docker tells it, its first part has a dot or a port. */
function isRemote(reference: string): boolean {
  const [first, ...rest] = parseReference(reference).name.split('/');
  return rest.length > 0 && /[.:]/.test(first!);
}
