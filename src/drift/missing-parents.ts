import { lstatSync } from 'node:fs';
import { metadataEntry, withoutIgnored } from '../layer/changes.ts';
import type { TreeChange } from '../layer/diff-trees.ts';
import { readXattrs } from '../system/libc.ts';

/**
 * Changes with the directories above them that are missing where they are brought, as they are where they come from.
 * @param places `from`: the root that has them; `isThere`: whether a directory need not be brought
 */
export function withMissingParents(
  changes: readonly TreeChange[],
  {
    from,
    isThere,
    latestSeconds,
  }: { from: string; isThere: (path: string) => boolean; latestSeconds: bigint | undefined },
): TreeChange[] {
  const known = new Set(changes.map(({ path }) => path));
  const parentsOf = (path: string): TreeChange[] => {
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
    if (parent === '' || known.has(parent) || isThere(parent)) return [];
    known.add(parent);
    return [...parentsOf(parent), directoryOf(from, parent, latestSeconds)];
  };
  return changes.flatMap((change) => [...parentsOf(change.path), change]);
}

function directoryOf(root: string, path: string, latestSeconds: bigint | undefined): TreeChange {
  const place = Buffer.from(`${root}/${path}`, 'latin1');
  const metadata = metadataEntry(`${path}/`, lstatSync(place, { bigint: true }), latestSeconds);
  const entry = { ...metadata, type: 'directory' as const, xattrs: withoutIgnored(readXattrs(place)) };
  return { kind: 'added', path, entry, source: undefined };
}
