import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readBootReport, type BootReport } from '../boot/boot-report.ts';
import { allVersions, readDeployments, versionDirectory, type NamedVersion } from '../deploy/deployments.ts';
import { findVersion, noDeployments } from '../deploy/find.ts';
import { ImgbootError } from '../errors.ts';
import { encodeReference, lookupNames, parseReference } from '../image/reference.ts';
import type { Store } from '../store/store.ts';
import { snapshotGeneration } from '../system/btrfs-changes.ts';
import { layerWanted } from './kept-layers.ts';
import { originOf, originOfRam, type Origin } from './origin.ts';

/** A writable layer of the store, or of the running system in RAM, and what it was made of. */
export interface KeptRoot extends Origin {
  /** Whose: `desktop/2`, or the image's reference. */
  name: string;
  version: NamedVersion | undefined;
  /** `ephemeral`, `ephemeral.4`, `persistent` or `ram`. */
  layer: string;
  /** Whether the running system writes to it. */
  booted: boolean;
  /** The subvolume, the overlay's directory, or of one in RAM what was written. */
  directory: string;
  /** Places in it that imgboot mounts something over. */
  made: string[];
  /** Of a subvolume that is a snapshot of what it was made of: the generation in which it became one. */
  since: bigint | undefined;
}

export interface RootChoice {
  /** A deployment or version, or an image that is booted without one; the running system where undefined. */
  name: string | undefined;
  /** Its name in the store, or `previous` for the ephemeral one before the last; what was booted last where undefined. */
  layer: string | undefined;
}

/** Whose writable layers are meant, and where they are. */
export interface Place {
  name: string;
  version: NamedVersion | undefined;
  directory: string;
  /** Which of its layers the running system writes to: none where undefined. */
  booted: string | undefined;
}

/**
 * Finds the root that is meant. Reads only.
 * @throws IMGBOOT_NO_SUCH_ROOT, naming those there are; IMGBOOT_NO_SUCH_DEPLOYMENT, IMGBOOT_NO_DEPLOYMENTS
 */
export async function findRoot(store: Store, choice: RootChoice): Promise<KeptRoot> {
  const report = readBootReport();
  const place =
    choice.name === undefined ? defaultPlace(store, report) : namedPlace(store, choice.name, report);
  const layer = layerWanted(place, choice.layer);
  const { name, version } = place;
  const common = {
    name,
    version,
    layer,
    booted: layer === place.booted,
    made: madePlaces(store, { version, report }),
  };
  if (layer === 'ram') return { ...common, ...originOfRam(store, report!), since: undefined };
  const origin = await originOf(store, place, layer);
  const directory = join(place.directory, layer);
  return { ...common, ...origin, directory, since: sinceOf(store, { ...origin, directory }) };
}

function sinceOf(
  store: Store,
  { topLayer, chain, directory }: Origin & { directory: string },
): bigint | undefined {
  if (store.driver.name !== 'btrfs') return undefined;
  return snapshotGeneration(
    directory,
    typeof topLayer === 'object' ? topLayer.directory : store.paths.layer(chain[0]!),
  );
}

function defaultPlace(store: Store, report: BootReport | undefined): Place {
  const running = placeOfReport(store, report);
  if (running !== undefined) return running;
  if (isOfOtherEngine(report)) {
    throw new ImgbootError(
      'IMGBOOT_UNSUPPORTED_ROOT',
      `the running system was booted from ${report?.reference}, an image in another engine's store`,
      { hint: 'imgboot knows what changed only of roots that it made from its own store' },
    );
  }
  const deployments = readDeployments(store.paths);
  if (deployments?.default == null) throw noDeployments();
  return placeOfVersion(store, findVersion(deployments, deployments.default));
}

/** Where the running system is from; undefined where that is not this store. */
function placeOfReport(store: Store, report: BootReport | undefined): Place | undefined {
  if (report?.writable?.got == null || report.reference === null || isOfOtherEngine(report)) return undefined;
  const { writable, reference, deployment } = report;
  const directory = join(store.paths.deployments, deployment?.got ?? encodeReference(reference));
  if (writable.got !== 'ram' && !existsSync(join(store.paths.root, writable.layer ?? ''))) return undefined;
  const versions = allVersions(readDeployments(store.paths) ?? { deployments: [] });
  return {
    name: deployment?.got ?? reference,
    version: versions.find(({ id }) => id === deployment?.got),
    directory,
    booted: writable.got === 'ram' ? 'ram' : writable.layer!.slice(writable.layer!.lastIndexOf('/') + 1),
  };
}

function isOfOtherEngine(report: BootReport | undefined): boolean {
  // Its writable layers lie beside the engine's, by an absolute path.
  return (
    /^(?:docker|containers-storage):/.test(report?.reference ?? '') ||
    report?.writable?.layer?.startsWith('/') === true
  );
}

function namedPlace(store: Store, name: string, report: BootReport | undefined): Place {
  const running = placeOfReport(store, report);
  if (running?.name === name || running?.version?.name === name) return running;
  const deployments = readDeployments(store.paths) ?? { deployments: [] };
  const versions = allVersions(deployments);
  const version = versions.findLast((one) => one.id === name || one.name === name);
  if (version !== undefined) return placeOfVersion(store, version);
  for (const reference of lookupNames(parseReference(name))) {
    if (reference === running?.name) return running;
    const directory = join(store.paths.deployments, encodeReference(reference));
    if (existsSync(directory)) return { name: reference, version: undefined, directory, booted: undefined };
  }
  throw new ImgbootError('IMGBOOT_NO_SUCH_ROOT', `${name} is no deployment, and no image that was booted`, {
    hint:
      versions.length === 0 ? 'nothing is deployed' : `there is ${versions.map(({ id }) => id).join(', ')}`,
  });
}

function placeOfVersion(store: Store, version: NamedVersion): Place {
  return { name: version.id, version, directory: versionDirectory(store.paths, version), booted: undefined };
}

function madePlaces(
  store: Store,
  { version, report }: { version: NamedVersion | undefined; report: BootReport | undefined },
): string[] {
  const shown = ['/var/lib/imgboot', store.paths.root, ...(report?.store == null ? [] : [report.store])];
  const modules = version === undefined ? [] : [`/usr/lib/modules/${version.kver}`];
  return [...shown, ...modules, ...(version?.persist ?? [])];
}
