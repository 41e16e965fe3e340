import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { forgetImages } from './add-version.ts';
import { Change, type ChangeOptions } from './change.ts';
import { allVersions, type NamedVersion } from './deployments.ts';
import { findDeployment, noDeployments } from './find.ts';
import { persistedDirectories, purgePersistent } from './persist.ts';
import { previousOf, withDefault, withoutVersions } from './retain.ts';

export interface Undeployed {
  removed: string[];
  /** What is booted by default now; null where nothing of ours is. */
  default: string | null;
  /** Persistent directories that are still there, or gone, by path. */
  kept: string[];
  purged: string[];
}

/**
 * Takes a deployment away: all its versions, their writable layers and boot entries. With the last one, the loader's
 * configuration is as it was before the first. Its persistent directories stay for the next deployment of that name,
 * unless `purge`; so do the reports of its boots.
 * @throws IMGBOOT_NO_SUCH_DEPLOYMENT, IMGBOOT_DEPLOYMENT_IN_USE
 */
export async function undeploy(
  store: Store,
  { name, purge, ...options }: ChangeOptions & { name: string; purge: boolean },
): Promise<Undeployed> {
  const left = persistedDirectories(store, name);
  const findMachine = (): never => {
    throw noDeployments();
  };
  using change = await beginUnlessPurging(store, {
    ...options,
    purge: purge && left.length > 0,
    findMachine,
  });
  const removed: NamedVersion[] = [];
  if (change !== undefined) {
    const before = change.deployments;
    const isThere = before.deployments.some((one) => one.name === name);
    if (isThere || left.length === 0 || !purge) findDeployment(before, name);
    removed.push(...allVersions(before).filter((version) => version.name === name));
    requireUnused(removed, change.facts.booted);
    const next = withoutVersions(before, new Set(removed.map(({ id }) => id)));
    const successor = previousOf(next, null, change.facts) ?? allVersions(next).toSorted(byAge).at(-1);
    const byDefault = next.default ?? successor?.id ?? null;
    if (removed.length > 0) await change.commit(withDefault(next, byDefault, change.facts));
    await forgetImages(store, { next, removed });
  }
  const purged = purge ? purgePersistent(store, name) : [];
  if (purge) rmSync(join(store.paths.boots, name), { recursive: true, force: true });
  return {
    removed: removed.map(({ id }) => id),
    default: change?.deployments.default ?? null,
    kept: persistedDirectories(store, name).map(({ path }) => path),
    purged,
  };
}

/** Without any deployment, there may still be persistent directories to delete. */
async function beginUnlessPurging(
  store: Store,
  { purge, ...options }: Parameters<typeof Change.begin>[1] & { purge: boolean },
): Promise<Change | undefined> {
  try {
    return await Change.begin(store, options);
  } catch (error) {
    if (purge && error instanceof ImgbootError && error.code === 'IMGBOOT_NO_DEPLOYMENTS') return undefined;
    throw error;
  }
}

/** @throws IMGBOOT_DEPLOYMENT_IN_USE */
function requireUnused(versions: readonly NamedVersion[], booted: string | undefined): void {
  const running = versions.find(({ id }) => id === booted);
  if (running !== undefined) {
    throw new ImgbootError('IMGBOOT_DEPLOYMENT_IN_USE', `${running.id} is running`, {
      hint: 'boot something else first: imgboot rollback, or another entry at the menu',
    });
  }
  const pinned = versions.find((one) => one.pinned);
  if (pinned !== undefined) {
    throw new ImgbootError('IMGBOOT_DEPLOYMENT_IN_USE', `${pinned.id} is pinned`, {
      hint: `imgboot deployment unpin ${pinned.id}`,
    });
  }
}

function byAge(a: NamedVersion, b: NamedVersion): number {
  return Date.parse(a.created) - Date.parse(b.created);
}
