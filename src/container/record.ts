import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf } from '../errors.ts';
import type { ChainId, Digest } from '../image/digest.ts';
import type { DriverName } from '../store/driver.ts';
import type { LayerName } from '../store/paths.ts';
import type { Store } from '../store/store.ts';
import { replaceFile } from '../system/durable.ts';
import type { ContainerMount } from './mount.ts';
import type { Limits } from './limits/limits.ts';
import type { PortMapping } from './network/types.ts';
import { ContainerPaths } from './paths.ts';
import type { IdMapping } from './user-namespace.ts';

/** What a container was made as. Nothing in it changes but the name. */
export interface ContainerRecord {
  version: 1;
  /** 64 hex digits. */
  id: string;
  name: string;
  /** RFC 3339. */
  created: string;
  image: { id: Digest; reference: string | null };
  driver: DriverName;
  /** The image's, topmost first. */
  layers: LayerName[];
  chain: ChainId;
  /** The UUID of the subvolume that it writes to (btrfs). */
  subvolume: string | null;
  /** The program and its arguments, the image's entrypoint included. */
  args: string[];
  entrypoint: string[];
  command: string[];
  env: string[];
  workingDir: string;
  /** `USER[:GROUP]`; empty for root. */
  user: string;
  /** Further groups, by name or number. */
  groups: string[];
  hostname: string;
  terminal: boolean;
  /** Its standard input is open. */
  stdin: boolean;
  /** That is closed with the first command that was connected to it. */
  stdinOnce: boolean;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** The signal's number. */
  stopSignal: number;
  stopTimeoutSeconds: number;
  /** It is removed when it ends. */
  autoRemove: boolean;
  /** The image's own init is its first process. */
  boot: boolean;
  topLayer: { directory: string; digest: string } | null;
  security: ContainerSecurity;
  network: ContainerNetwork;
  mounts: ContainerMount[];
  shmBytes: number;
  /** Host devices, and what may be done with them (`rwm`). */
  devices: { source: string; target: string; access: string }[];
  ulimits: { name: string; soft: number; hard: number }[];
  sysctls: Record<string, string>;
  limits: Limits;
}

export interface ContainerSecurity {
  privileged: boolean;
  readOnly: boolean;
  /** A small init is the first process, and reaps. */
  init: boolean;
  /** `CAP_X`, or `ALL`. */
  capAdd: string[];
  capDrop: string[];
  noNewPrivileges: boolean;
  /** The profile's text where one was given. */
  seccomp: { kind: 'default' } | { kind: 'unconfined' } | { kind: 'profile'; path: string; text: string };
  userNamespace: { kind: 'host' } | { kind: 'mapped'; uids: IdMapping[]; gids: IdMapping[] };
}

export interface ContainerNetwork {
  /** `none`, `host`, or names of networks. */
  names: string[];
  aliases: string[];
  ports: PortMapping[];
  dns: string[];
  dnsSearch: string[];
  dnsOptions: string[];
  /** `NAME:ADDRESS`. */
  extraHosts: string[];
}

/** Whether it is to be attached to networks. */
export function hasNetworks({ network }: ContainerRecord): boolean {
  return !network.names.includes('host') && !network.names.includes('none');
}

/** A container of a store. */
export interface Container {
  record: ContainerRecord;
  paths: ContainerPaths;
}

/**
 * Puts a file of a container in its place, at once and whole; and durably, unless the container is not to outlive its
 * process: then a power cut, which ends that, may take the file along.
 */
export function publish(
  path: string,
  text: string,
  { autoRemove }: Pick<ContainerRecord, 'autoRemove'>,
): void {
  if (!autoRemove) {
    replaceFile(path, text);
    return;
  }
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

const ID = /^[0-9a-f]{64}$/;

/** Every container that can be read, the youngest first. */
export function listContainers(store: Store): Container[] {
  const { containers } = store.paths;
  if (!existsSync(containers)) return [];
  return readdirSync(containers)
    .filter((name) => ID.test(name))
    .flatMap((id) => readContainer(new ContainerPaths(join(containers, id))) ?? [])
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
}

/** Undefined where it is gone, or was not written whole before the power went. */
export function readContainer(paths: ContainerPaths): Container | undefined {
  try {
    return { record: JSON.parse(readFileSync(paths.record, 'utf8')) as ContainerRecord, paths };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * The container of a name, or of the start of an ID.
 * @throws IMGBOOT_NO_SUCH_CONTAINER, IMGBOOT_AMBIGUOUS_ID
 */
export function findContainer(store: Store, text: string): Container {
  const found = tryFindContainer(store, text);
  if (found !== undefined) return found;
  throw new ImgbootError('IMGBOOT_NO_SUCH_CONTAINER', `there is no container ${JSON.stringify(text)}`, {
    hint: 'imgboot ps --all lists those there are',
  });
}

/** The same; undefined where there is none. @throws IMGBOOT_AMBIGUOUS_ID */
export function tryFindContainer(store: Store, text: string): Container | undefined {
  // The usual way of programs, and the cheap one.
  if (ID.test(text)) return readContainer(new ContainerPaths(join(store.paths.containers, text)));
  const all = listContainers(store);
  const named = all.find(({ record }) => record.name === text);
  if (named !== undefined || !/^[0-9a-f]+$/.test(text)) return named;
  const matching = all.filter(({ record }) => record.id.startsWith(text));
  if (matching.length > 1)
    throw new ImgbootError(
      'IMGBOOT_AMBIGUOUS_ID',
      `${text} is the start of ${matching.length} container IDs`,
      { hint: 'give more digits' },
    );
  return matching[0];
}
