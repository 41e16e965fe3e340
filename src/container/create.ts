import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import { FileLock } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import { NEW_PREFIX, lockCgroups, removeRemains, tidyCgroups } from './cleanup.ts';
import { checkLimits } from './limits/check-limits.ts';
import { grantedCapabilities } from './capabilities.ts';
import type { Limits } from './limits/limits.ts';
import { generateName } from './names.ts';
import { ContainerPaths } from './paths.ts';
import { listContainers, publish, type Container, type ContainerRecord } from './record.ts';
import { signalNumber } from './signals.ts';
import { parseUserNamespace } from './user-namespace.ts';
import type { TopLayerJob } from './top-layer.job.ts';
import { withImageVolumes } from './volume/volume-use.ts';
import { makeWritableLayer } from './writable-layer.ts';

/** What the user asks of a new container; what is undefined is the image's, or the default. */
export interface CreateRequest extends Omit<
  ContainerRecord,
  | 'version'
  | 'id'
  | 'name'
  | 'created'
  | 'image'
  | 'driver'
  | 'layers'
  | 'chain'
  | 'subvolume'
  | 'args'
  | 'entrypoint'
  | 'command'
  | 'env'
  | 'workingDir'
  | 'user'
  | 'hostname'
  | 'stopSignal'
  | 'topLayer'
  | 'security'
> {
  name: string | undefined;
  /** Replaces the image's, and its command with it; empty for none. */
  entrypoint: string[] | undefined;
  /** Replaces the image's when it is not empty. */
  command: string[];
  /** `NAME=value`; wins over the image's. */
  env: string[];
  workingDir: string | undefined;
  user: string | undefined;
  hostname: string | undefined;
  stopSignal: string | undefined;
  topLayer: string | undefined;
  security: Omit<ContainerRecord['security'], 'userNamespace'> & { userNamespace: string };
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** An image's own init, where it has no other word for it. */
const INIT = ['/sbin/init'];
/** What tells systemd to shut down. @see systemd(1), SIGRTMIN+3 */
const BOOT_STOP_SIGNAL = 'SIGRTMIN+3';

/**
 * Makes a container of an image, without starting it: whole or not at all.
 * @throws IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_NAME_TAKEN, IMGBOOT_USAGE, IMGBOOT_NO_COMMAND, IMGBOOT_CANNOT_LIMIT,
 *   IMGBOOT_NO_CAPABILITY
 */
export async function createContainer(
  store: Store,
  reference: string,
  { request, ...options }: OperationOptions & { request: CreateRequest },
): Promise<Container> {
  // All that can be refused is refused before anything is made.
  checkName(request.name);
  const { capAdd, capDrop, privileged } = request.security;
  grantedCapabilities({ privileged, add: capAdd, drop: capDrop });
  // Nobody takes the layers away until the container's own file says that it has them.
  using _content = await store.lockContent('shared', options);
  const image = store.image(reference);
  if (image.layers.length === 0)
    throw new ImgbootError('IMGBOOT_EMPTY_IMAGE', `the image ${reference} has no files`, {
      hint: 'imgboot history shows how it was made',
    });
  const command = commandOf(image, request);
  const limits = await limitsOfHost(request.limits);
  mkdirSync(store.paths.containers, { recursive: true, mode: 0o700 });
  const id = randomBytes(32).toString('hex');
  const fresh = new ContainerPaths(join(store.paths.containers, `${NEW_PREFIX}${id}`));
  mkdirSync(fresh.root, { mode: 0o700 });
  using _mine = FileLock.tryAcquire(fresh.lock, 'exclusive');
  try {
    return await fillContainer(store, {
      image,
      request: { ...request, ...command, limits },
      id,
      fresh,
      ...options,
    });
  } catch (error) {
    removeRemains(fresh);
    throw error;
  }
}

async function limitsOfHost(limits: Limits): Promise<Limits> {
  try {
    using _cgroups = await lockCgroups();
    return checkLimits(limits);
  } finally {
    tidyCgroups();
  }
}

/** Makes the container in a directory of its own, and gives that its name. */
async function fillContainer(
  store: Store,
  {
    image,
    request,
    id,
    fresh,
    ...options
  }: OperationOptions & {
    image: Image;
    request: CreateRequest & { args: string[]; entrypoint: string[] };
    id: string;
    fresh: ContainerPaths;
  },
): Promise<Container> {
  const layers = image.layers.map((layer) => layer.name).toReversed();
  const subvolume = makeWritableLayer(store, fresh, layers);
  // Everybody who gives a name, or a range of user IDs, holds it.
  using _names = await FileLock.acquire(join(store.paths.locks, 'containers'), 'exclusive');
  const others = listContainers(store);
  const record: ContainerRecord = {
    ...request,
    version: 1,
    mounts: withImageVolumes(request.mounts, image.config.config),
    id,
    name: freeName(request.name, others),
    created: new Date().toISOString(),
    image: { id: image.id, reference: image.reference ?? null },
    driver: store.driver.name,
    layers,
    chain: image.layers.at(-1)!.chainId,
    subvolume,
    env: mergeEnvironment(image.config.config?.Env ?? [], request.env),
    workingDir: request.workingDir ?? (image.config.config?.WorkingDir || '/'),
    user: request.user ?? image.config.config?.User ?? '',
    hostname: request.hostname ?? defaultHostname(id, request),
    stopSignal: signalNumber(
      request.stopSignal ?? (request.boot ? BOOT_STOP_SIGNAL : image.config.config?.StopSignal || 'SIGTERM'),
    ),
    labels: { ...image.config.config?.Labels, ...request.labels },
    topLayer: null,
    security: {
      ...request.security,
      userNamespace: parseUserNamespace(
        request.security.userNamespace,
        others.flatMap(({ record }) =>
          record.security.userNamespace.kind === 'mapped' ? record.security.userNamespace.uids : [],
        ),
      ),
    },
  };
  writeFileSync(fresh.chain, `${record.chain}\n`);
  writeRecord(fresh, record);
  if (request.topLayer !== undefined) {
    const directory = resolve(request.topLayer);
    const digest = await runIsolated<TopLayerJob, string>(
      jobModule(import.meta.url, 'top-layer.job'),
      { container: fresh.root, layers: store.paths.layers, topLayer: directory },
      options,
    );
    record.topLayer = { directory, digest };
    writeRecord(fresh, record);
  }
  const paths = new ContainerPaths(join(store.paths.containers, id));
  renameSync(fresh.root, paths.root);
  return { record, paths };
}

/** Replaces a container's record. The caller holds the lock on names. */
export function writeRecord(paths: ContainerPaths, record: ContainerRecord): void {
  publish(paths.record, `${JSON.stringify(record, null, 1)}\n`, record);
}

/** @throws IMGBOOT_NAME_TAKEN */
export function freeName(wanted: string | undefined, others: readonly Container[]): string {
  const taken = new Map(others.map(({ record }) => [record.name, record.id]));
  if (wanted === undefined) return generateName((name) => taken.has(name));
  const holder = taken.get(wanted);
  if (holder === undefined) return wanted;
  throw new ImgbootError(
    'IMGBOOT_NAME_TAKEN',
    `the name ${JSON.stringify(wanted)} is in use by container ${holder.slice(0, 12)}`,
    { hint: 'remove that container (imgboot rm), rename it, or choose another name' },
  );
}

/** @throws IMGBOOT_USAGE */
export function checkName(name: string | undefined): void {
  if (name === undefined || NAME.test(name)) return;
  throw new ImgbootError('IMGBOOT_USAGE', `not a name for a container: ${JSON.stringify(name)}`, {
    hint: 'a name has letters, digits, _, . and -, and begins with a letter or digit',
  });
}

function commandOf(
  image: Image,
  { entrypoint, command, boot }: CreateRequest,
): { args: string[]; entrypoint: string[]; command: string[] } {
  const config = image.config.config ?? {};
  // Another program's arguments mean nothing to this one.
  const rest = command.length > 0 || entrypoint !== undefined ? command : (config.Cmd ?? []);
  const first = entrypoint ?? config.Entrypoint ?? [];
  if (boot) {
    const init = [...(entrypoint ?? []), ...command];
    const args = init.length > 0 ? init : INIT;
    return { args, entrypoint: [], command: args };
  }
  const args = [...first, ...rest];
  if (args.length === 0)
    throw new ImgbootError(
      'IMGBOOT_NO_COMMAND',
      `the image ${image.reference ?? image.id} has no command of its own`,
      {
        hint: 'say what to run, after the image',
      },
    );
  return { args, entrypoint: first, command: rest };
}

function mergeEnvironment(base: readonly string[], over: readonly string[]): string[] {
  const name = (pair: string): string => pair.split('=', 1)[0]!;
  const merged = new Map([...base, ...over].map((pair) => [name(pair), pair]));
  return [...merged.values()];
}

function defaultHostname(id: string, { network }: CreateRequest): string {
  return network.names.includes('host') ? hostname() : id.slice(0, 12);
}
