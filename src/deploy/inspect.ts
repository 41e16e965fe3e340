import type { Machine } from '../loader/machine.ts';
import type { Store } from '../store/store.ts';
import { requireDeployments, findVersion } from './find.ts';
import { readFacts } from './facts.ts';
import { loaderPlan } from './loader-plan.ts';
import { persistedDirectories } from './persist.ts';
import { deploymentStatus, type VersionStatus } from './status.ts';
import { entryId } from './version-name.ts';
import { versionDirectory } from './deployments.ts';

export interface VersionDetails extends VersionStatus {
  machine: Machine;
  /** Where its kernel, initramfs and writable layers are. */
  directory: string;
  /** The kernel command line of its boot entry. */
  options: string;
  /** Directories that outlive its image, and of older versions of its name. */
  persisted: string[];
}

/** All that is known of a version. @throws IMGBOOT_NO_DEPLOYMENTS, IMGBOOT_NO_SUCH_DEPLOYMENT */
export function inspectVersion(store: Store, text: string): VersionDetails {
  const deployments = requireDeployments(store.paths);
  const version = findVersion(deployments, text);
  const facts = readFacts(store.paths, deployments);
  const { entries } = loaderPlan(store.paths, { deployments, facts, counting: 'no' });
  return {
    ...deploymentStatus(store).deployments.find(({ id }) => id === version.id)!,
    machine: deployments.machine,
    directory: versionDirectory(store.paths, version),
    options: entries.find(({ id }) => id === entryId(version))!.options,
    persisted: persistedDirectories(store, version.name).map(({ path }) => path),
  };
}
