import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bootLines } from '../store/boot-files.ts';
import { chainLayers } from '../store/collect.ts';
import type { Store } from '../store/store.ts';
import { removeAside, replaceFile } from '../system/durable.ts';
import { allVersions, versionDirectory, type Deployments, type NamedVersion } from './deployments.ts';
import type { Facts } from './facts.ts';
import { TRIES, previousOf } from './retain.ts';

/** Makes what the initramfs reads of each version follow from deployments.json. @see docs/architecture.md 4.7 */
export function writeBootFiles(store: Store, deployments: Deployments, facts: Facts): void {
  for (const version of allVersions(deployments)) {
    const path = bootFileOf(store, version);
    const content = versionBootFile(store, { version, deployments, facts });
    if (existsSync(dirname(path)) && (!existsSync(path) || readFileSync(path, 'utf8') !== content))
      replaceFile(path, content);
  }
}

/** Deletes what of them was half written when a change was stopped. */
export function sweepBootFiles(store: Store, deployments: Deployments): void {
  for (const version of allVersions(deployments)) removeAside(bootFileOf(store, version));
}

function bootFileOf(store: Store, version: NamedVersion): string {
  return join(versionDirectory(store.paths, version), 'boot');
}

/** A version's `boot` file. */
export function versionBootFile(
  store: Store,
  { version, deployments, facts }: { version: NamedVersion; deployments: Deployments; facts: Facts },
): string {
  const { loader, boot, directory } = deployments.machine;
  const previous = previousOf(deployments, version.id, facts);
  const { reference, image, chain } = version;
  const lines = [
    ...bootLines({ reference, image, driver: store.driver.name, chain, layers: chainLayers(store, chain) }),
    `deployment=${version.id}`,
    `kernel=${version.kver}`,
    ...version.persist.map((path) => `persist=${path}`),
    `try=${TRIES}`,
    ...(previous === undefined ? [] : [`previous=${previous.id}`]),
    `loader=${loader}`,
    ...(boot === null ? [] : [`bootuuid=${boot.uuid}`, `bootfstype=${boot.fstype}`]),
    `bootdir=${directory}`,
  ];
  return `${lines.join('\n')}\n`;
}
