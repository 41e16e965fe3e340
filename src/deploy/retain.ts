import { allVersions, type Deployments, type NamedVersion } from './deployments.ts';
import type { Facts } from './facts.ts';

/** Boots that a version gets to show itself good. */
export const TRIES = 3;

/**
 * What is booted in place of a version that fails: the last good one, of any name. Pure.
 * @param id of the version
 */
export function previousOf(
  deployments: Pick<Deployments, 'deployments'>,
  id: string | null,
  { good }: Pick<Facts, 'good'>,
): NamedVersion | undefined {
  return allVersions(deployments)
    .filter((version) => version.id !== id && good.has(version.id))
    .toSorted((a, b) => good.get(b.id)! - good.get(a.id)! || byAge(b, a))[0];
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
  const kept = new Set([deployments.default, facts.booted, previousOf(deployments, null, facts)?.id]);
  for (const { name, keep, versions } of deployments.deployments) {
    for (const { number } of versions.slice(-keep)) kept.add(`${name}/${number}`);
  }
  return allVersions(deployments).filter(({ id, pinned }) => !pinned && !kept.has(id));
}

/** The same deployments without some versions; a name without any goes. Pure. */
export function withoutVersions(deployments: Deployments, ids: ReadonlySet<string>): Deployments {
  return {
    ...deployments,
    default: deployments.default !== null && ids.has(deployments.default) ? null : deployments.default,
    deployments: deployments.deployments
      .map((one) => ({
        ...one,
        versions: one.versions.filter(({ number }) => !ids.has(`${one.name}/${number}`)),
      }))
      .filter(({ versions }) => versions.length > 0),
  };
}

function byAge(a: NamedVersion, b: NamedVersion): number {
  return Date.parse(a.created) - Date.parse(b.created);
}
