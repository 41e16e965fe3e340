import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ImgbootError, errnoOf } from '../errors.ts';
import type { ChainId, Digest } from '../image/digest.ts';
import type { Machine } from '../loader/machine.ts';
import type { StorePaths } from '../store/paths.ts';
import { replaceFile, syncDirectory } from '../system/durable.ts';

/** What a version is booted with: settled when it is made, so that going back goes back to all of it. */
export interface BootSettings {
  /** The image's name in the store. */
  reference: string;
  /** `ephemeral`, `persistent`, `ram` or `ram:size=SIZE`. */
  writable: string;
  /** Words for the kernel command line. */
  append: string[];
  /** `toplayer=...` and its relatives. */
  topLayer: string[];
  /** Directories that outlive their image: absolute paths. */
  persist: string[];
}

/** An image made bootable: one number of a deployment. */
export interface Version extends BootSettings {
  number: number;
  /** The image ID. */
  image: Digest;
  /** Of the root file system. */
  chain: ChainId;
  /** The kernel, as `uname -r` says it. */
  kver: string;
  /** RFC 3339. */
  created: string;
  pinned: boolean;
}

/** An image under a name, through its versions. */
export interface Deployment {
  name: string;
  /** How many of its newest versions are kept whatever else is. */
  keep: number;
  /** The number of the next version: none is used twice. */
  next: number;
  /** Ascending; never empty. */
  versions: Version[];
}

/** All deployments of a store: the one authority. @see docs/architecture.md 4.7 */
export interface Deployments {
  version: 1;
  machine: Machine;
  /** `desktop/3`; null where there are none. */
  default: string | null;
  /** The last default before it that was good. */
  previous: string | null;
  deployments: Deployment[];
}

/** A version with the name that it is known by. */
export interface NamedVersion extends Version {
  name: string;
  /** `desktop/3`. */
  id: string;
}

/** What the store's deployments.json says; undefined where there has never been one. @throws IMGBOOT_BAD_DEPLOYMENTS */
export function readDeployments(paths: StorePaths): Deployments | undefined {
  let text: string;
  try {
    text = readFileSync(paths.deploymentsFile, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const read = JSON.parse(text) as Deployments;
    if (read.version === 1 && Array.isArray(read.deployments)) return read;
  } catch (cause) {
    throw badDeployments(paths, cause);
  }
  throw badDeployments(paths, undefined);
}

/** Replaces it: the moment at which a change has happened. The caller holds the lock. Atomic and durable. */
export function writeDeployments(paths: StorePaths, deployments: Deployments): void {
  replaceFile(paths.deploymentsFile, `${JSON.stringify(deployments, null, 1)}\n`);
}

/** Where nothing is deployed any more, nothing is left: the next deployment looks for its machine anew. */
export function forgetDeployments(paths: StorePaths): void {
  rmSync(paths.deploymentsFile, { force: true });
  syncDirectory(dirname(paths.deploymentsFile));
}

/** Every version there is, those of a name together, ascending. */
export function allVersions({ deployments }: Pick<Deployments, 'deployments'>): NamedVersion[] {
  return deployments.flatMap(({ name, versions }) =>
    versions.map((version) => ({ ...version, name, id: `${name}/${version.number}` })),
  );
}

/** Of a version's files. */
export function versionDirectory(
  paths: StorePaths,
  { name, number }: Pick<NamedVersion, 'name' | 'number'>,
): string {
  return join(paths.deployments, name, String(number));
}

function badDeployments(paths: StorePaths, cause: unknown): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_DEPLOYMENTS', `${paths.deploymentsFile} cannot be understood`, {
    cause,
    hint: 'another version of imgboot may have written it; use that one',
  });
}
