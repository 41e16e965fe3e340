import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readBootReport, type BootReport } from '../boot/boot-report.ts';
import type { Machine } from '../loader/machine.ts';
import { UnreadableImage, tryReadImage } from '../store/image.ts';
import { readIndex } from '../store/index-file.ts';
import type { Store } from '../store/store.ts';
import { freeBytes } from '../system/free-space.ts';
import { allVersions, readDeployments, versionDirectory, type NamedVersion } from './deployments.ts';
import { readFacts, type Facts } from './facts.ts';
import { TRIES, rollbackTarget } from './retain.ts';

/** A version in a listing. */
export interface VersionStatus extends NamedVersion {
  /** The manifest's digest; null where the image is gone from the store. */
  digest: string | null;
  booted: boolean;
  default: boolean;
  /** `rollback` goes back to it. */
  previous: boolean;
  /** A boot of it was good; `failed`: it has used up its tries. */
  state: 'good' | 'new' | 'failed';
  /** Boots that were begun and not found good. */
  tries: number;
  /** Of its kernel and initramfs in the store; the loader's file system may have as many again. */
  bootBytes: number;
}

export interface DeploymentStatus {
  booted: string | null;
  default: string | null;
  previous: string | null;
  machine: Machine | null;
  deployments: VersionStatus[];
  /** On the store's file system. */
  freeBytes: number;
  /** What the running boot said; null where imgboot did not boot this system. */
  report: BootReport | null;
}

/** What is deployed, what runs, and what is booted next. Reads only. */
export function deploymentStatus(store: Store): DeploymentStatus {
  const deployments = readDeployments(store.paths);
  const report = readBootReport() ?? null;
  const free = freeBytes(store.paths.root);
  if (deployments === undefined || deployments.deployments.length === 0) {
    const booted = report?.deployment?.got ?? null;
    return { booted, default: null, previous: null, machine: null, deployments: [], freeBytes: free, report };
  }
  const facts = readFacts(store.paths, deployments);
  const previous = rollbackTarget(deployments, facts)?.id ?? null;
  const digests = imageDigests(store);
  const versions = allVersions(deployments).map((version): VersionStatus => ({
    ...version,
    digest: digests.get(version.image) ?? null,
    booted: version.id === facts.booted,
    default: version.id === deployments.default,
    previous: version.id === previous,
    state: stateOf(version.id, facts),
    tries: facts.tries.get(version.id) ?? 0,
    bootBytes: bootBytes(versionDirectory(store.paths, version)),
  }));
  return {
    booted: facts.booted ?? null,
    default: deployments.default,
    previous,
    machine: deployments.machine,
    deployments: versions,
    freeBytes: free,
    report,
  };
}

function stateOf(id: string, { good, tries }: Facts): VersionStatus['state'] {
  if (good.has(id)) return 'good';
  return (tries.get(id) ?? 0) >= TRIES ? 'failed' : 'new';
}

/** By image ID. */
function imageDigests(store: Store): Map<string, string> {
  return new Map(
    readIndex(store.paths).manifests.flatMap((descriptor): [string, string][] => {
      const image = tryReadImage(store.paths, descriptor);
      return image instanceof UnreadableImage ? [] : [[image.id, descriptor.digest]];
    }),
  );
}

function bootBytes(directory: string): number {
  const sizes = ['vmlinuz', 'initrd.img'].map(
    (file) => statSync(join(directory, file), { throwIfNoEntry: false })?.size ?? 0,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
