import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accountFiles, REPLACE_ACCOUNTS } from './account-files.ts';
import { measureTopLayer, type Measure } from './hook-shell.ts';
import { openTopLayer } from './open.ts';
import type { TopLayerPlace } from './place.ts';
import { meaningOf, scanTopLayer, type TopEntry } from './scan.ts';
import { showName } from './show.ts';
import { tarStyleHere } from './tar-of-image.ts';
import { FileTree, type FileKind } from './tree.ts';

/** Plain data. */
export interface ListJob {
  place: TopLayerPlace;
  /** An empty directory. */
  scratch: string;
  measure: boolean;
}

/** Something in a top layer, as text for people. */
export interface ListedEntry {
  /** In the new root: `/etc/x`. */
  path: string;
  kind: FileKind;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** Of a symbolic link. */
  target: string | undefined;
  /** What the boot does with it: `copies`, `merges`, `deletes /etc/x`, `empties /etc`, `not copied`. */
  does: string;
}

export interface Listed {
  entries: ListedEntry[];
  /** Undefined where it was not asked for. */
  measure: Measure | undefined;
}

export async function runJob({ place, scratch, measure }: ListJob): Promise<Listed> {
  const mountPoint = join(scratch, 'top');
  mkdirSync(mountPoint);
  const directory = await openTopLayer(place, { mountPoint, writable: false });
  using tree = new FileTree(directory);
  const { entries, sockets } = scanTopLayer(tree);
  const all = [...entries, ...sockets.map((path) => ({ path, facts: tree.facts(path)! }))];
  const replaces = entries.some(({ path }) => path === `/${REPLACE_ACCOUNTS}`);
  const listed = all
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .map((entry): ListedEntry => {
      const { kind, mode, uid, gid, sizeBytes, linkTarget } = entry.facts;
      const target = kind === 'symlink' ? showName(linkTarget) : undefined;
      return {
        path: showName(entry.path),
        kind,
        mode,
        uid,
        gid,
        sizeBytes,
        target,
        does: doing(entry, replaces),
      };
    });
  return {
    entries: listed,
    measure: measure
      ? await measureTopLayer(directory, { work: join(scratch, 'work'), style: tarStyleHere() })
      : undefined,
  };
}

function doing(entry: TopEntry, replacesAccounts: boolean): string {
  const { path, facts } = entry;
  if (facts.kind === 'socket') return 'not copied';
  const meaning = meaningOf(entry);
  const directory = path.slice(0, path.lastIndexOf('/'));
  switch (meaning.kind) {
    case 'whiteout':
      return `deletes ${showName(`${directory}/${meaning.name}`)}`;
    case 'opaque':
      return `empties ${showName(directory)}`;
    case 'refused':
      return `stops the boot: ${meaning.why}`;
    case 'marker':
      return 'has account files replaced';
    case 'left-out':
      return 'not copied';
    case 'content': {
      const isAccounts = accountFiles.some((name) => path === `/etc/${name}`) && facts.kind === 'file';
      return isAccounts && !replacesAccounts ? 'merges' : 'copies';
    }
  }
}
