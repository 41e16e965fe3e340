import { join } from 'node:path';
import type { BootEntry, LoaderPlan } from '../loader/plan.ts';
import { BOOT_DIRECTORY } from '../loader/plan.ts';
import type { Machine } from '../loader/machine.ts';
import type { StorePaths } from '../store/paths.ts';
import { allVersions, versionDirectory, type Deployments, type NamedVersion } from './deployments.ts';
import type { Facts } from './facts.ts';
import { TRIES, rollbackTarget } from './retain.ts';
import { entryId, flatId } from './version-name.ts';

/** The choices at the menu for the default version: what becomes of a boot's writes. */
const choices = {
  fresh: 'ephemeral',
  persistent: 'persistent',
  ram: 'ram',
  previous: 'previous',
} as const;

/** Seconds after which a machine that could not boot goes back to its loader. */
const PANIC_SECONDS = 10;

/**
 * What the loader is to know of the deployments. Pure.
 * @param counting of the default, where it has still to show itself good
 */
export function loaderPlan(
  paths: StorePaths,
  request: { deployments: Deployments; facts: Facts; counting: 'no' | 'continue' | 'restart' },
): LoaderPlan {
  const { deployments, facts } = request;
  const { machine } = deployments;
  const versions = allVersions(deployments).toSorted((a, b) => Date.parse(b.created) - Date.parse(a.created));
  const byDefault = versions.find(({ id }) => id === deployments.default);
  const fallback = rollbackTarget(deployments, facts);
  const ordered = versions.toSorted((a, b) => Number(b === byDefault) - Number(a === byDefault));
  const entry = (version: NamedVersion): BootEntry => versionEntry(version, { machine, facts });
  return {
    machine,
    // Before the first is there as a whole, the loader knows of none.
    entries:
      byDefault === undefined
        ? []
        : [...ordered.map(entry), ...choiceEntries(entry(byDefault), byDefault, machine)],
    defaultId: byDefault === undefined ? undefined : entryId(byDefault),
    fallbackId: fallback === undefined ? undefined : entryId(fallback),
    counting: byDefault === undefined || facts.good.has(byDefault.id) ? 'no' : request.counting,
    files:
      machine.boot === null
        ? []
        : versions.map((version) => ({ directory: flatId(version), ...kernelFiles(paths, version) })),
  };
}

function versionEntry(
  version: NamedVersion,
  { machine, facts }: { machine: Machine; facts: Facts },
): BootEntry {
  const place =
    machine.boot === null
      ? `${machine.storePath === '/' ? '' : machine.storePath}/deployments/${version.id}`
      : `${BOOT_DIRECTORY}/${flatId(version)}`;
  return {
    id: entryId(version),
    title: `${version.reference} (${version.id})`,
    kind: 'version',
    order: String(Date.parse(version.created)),
    kernel: `${place}/vmlinuz`,
    initrd: `${place}/initrd.img`,
    options: kernelOptions(version, { machine, writable: version.writable }),
    tries: facts.good.has(version.id) ? undefined : TRIES,
  };
}

function choiceEntries(entry: BootEntry, version: NamedVersion, machine: Machine): BootEntry[] {
  return Object.entries(choices).map(([choice, writable], index) => ({
    ...entry,
    id: `${entry.id}-${choice}`,
    title: `${version.reference}, ${choice} (${version.id}-${choice})`,
    kind: 'choice',
    order: String(Object.keys(choices).length - index),
    options: kernelOptions(version, { machine, writable }),
    tries: undefined,
  }));
}

/** The kernel command line that boots a version. */
function kernelOptions(
  version: NamedVersion,
  { machine, writable }: { machine: Machine; writable: string },
): string {
  return [
    ...machine.root,
    'rw',
    `imgboot.deployment=${version.id}`,
    `imgboot.store=${machine.store}`,
    `imgboot.writable=${writable}`,
    ...version.topLayer,
    `panic=${PANIC_SECONDS}`,
    ...version.append,
  ].join(' ');
}

/** Where a version's kernel and initramfs are in the store. */
function kernelFiles(paths: StorePaths, version: NamedVersion): { kernel: string; initrd: string } {
  const directory = versionDirectory(paths, version);
  return { kernel: join(directory, 'vmlinuz'), initrd: join(directory, 'initrd.img') };
}
