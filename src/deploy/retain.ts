import { allVersions, type Deployments, type NamedVersion } from './deployments.ts';
import type { Facts } from './facts.ts';

/** Boots that a version gets to show itself good. */
export const TRIES = 3;

/**
 * What is booted in place of a version that fails: the last good one, of any name. Pure.
 * @param id of the version
 */
export function previousOf(
  deployments: Deployments,
  id: string | null,
  { good }: Pick<Facts, 'good'>,
): NamedVersion | undefined {
  const rank = (version: NamedVersion): number =>
    [deployments.previous, deployments.default].indexOf(version.id);
  return allVersions(deployments)
    .filter((version) => version.id !== id && good.has(version.id))
    .toSorted((a, b) => rank(b) - rank(a) || good.get(b.id)! - good.get(a.id)! || byAge(b, a))[0];
}

/** The deployments with another default. Pure. */
export function withDefault(
  deployments: Deployments,
  id: string | null,
  { good }: Pick<Facts, 'good'>,
): Deployments {
  const now = deployments.default;
  const previous = now !== null && now !== id && good.has(now) ? now : deployments.previous;
  return { ...deployments, default: id, previous: previous === id ? null : previous };
}

/**
 * What `rollback` goes back to: the last good one; where nothing has been found good, the newest before the default of
 * its name. Pure.
 */
export function rollbackTarget(deployments: Deployments, facts: Facts): NamedVersion | undefined {
  const good = previousOf(deployments, deployments.default, facts);
  if (good !== undefined) return good;
  const versions = allVersions(deployments);
  const now = versions.find(({ id }) => id === deployments.default);
  return versions.findLast(
    ({ name, number, id }) => name === now?.name && number < now.number && (facts.tries.get(id) ?? 0) < TRIES,
  );
}

/** The versions that nothing keeps. Pure. @see docs/architecture.md 4.7 */
export function unretained(deployments: Deployments, facts: Facts): NamedVersion[] {
  const newest = new Set(
    deployments.deployments.flatMap(({ name, keep, versions }) =>
      versions.slice(-keep).map(({ number }) => `${name}/${number}`),
    ),
  );
  return unprotected(deployments, facts).filter(({ id }) => !newest.has(id));
}

/** The versions that a machine can do without: not what runs, is the default, was good last, or is pinned. Pure. */
export function unprotected(deployments: Deployments, facts: Facts): NamedVersion[] {
  const kept = new Set([deployments.default, facts.booted, previousOf(deployments, null, facts)?.id]);
  return allVersions(deployments).filter(({ id, pinned }) => !pinned && !kept.has(id));
}

/** The same deployments without some versions; a name without any goes. Pure. */
export function withoutVersions(deployments: Deployments, ids: ReadonlySet<string>): Deployments {
  return {
    ...deployments,
    default: unless(deployments.default, ids),
    previous: unless(deployments.previous, ids),
    deployments: deployments.deployments
      .map((one) => ({
        ...one,
        versions: one.versions.filter(({ number }) => !ids.has(`${one.name}/${number}`)),
      }))
      .filter(({ versions }) => versions.length > 0),
  };
}

function unless(id: string | null, ids: ReadonlySet<string>): string | null {
  return id !== null && ids.has(id) ? null : id;
}

function byAge(a: NamedVersion, b: NamedVersion): number {
  return Date.parse(a.created) - Date.parse(b.created);
}
