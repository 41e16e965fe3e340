import { byBytes } from '../system/rooted.ts';
import { catMember, plainName } from './cat-member.ts';
import { CAUSES_PATH, parseCauses } from './causes.ts';
import { printable } from './member-line.ts';
import { readInitramfs } from './read-initramfs.ts';

/** What some files of an initramfs are there for, and how much they take. */
export interface CauseRow {
  cause: string;
  /** Unpacked. */
  sizeBytes: number;
  fileCount: number;
}

/**
 * The bytes of an initramfs by what they are for, the largest first: as imgboot wrote it down when it made the file,
 * else by the kind of file.
 * @throws what {@link readInitramfs} throws
 */
export async function explainInitramfs(path: string, signal?: AbortSignal): Promise<CauseRow[]> {
  const { members } = await readInitramfs(path, { signal });
  const hasCauses = members.some(({ name }) => plainName(name) === CAUSES_PATH);
  const causes = hasCauses
    ? parseCauses((await catMember(path, CAUSES_PATH, signal)).toString('utf8'))
    : new Map<string, string>();
  return sumByCause(
    members.map(({ name, sizeBytes }) => {
      const plain = plainName(name);
      // Of ours, only the list itself and links have no cause.
      const other = hasCauses ? 'imgboot' : kindOf(plain);
      return { cause: causes.get(printable(plain)) ?? other, sizeBytes };
    }),
  );
}

/** One row a cause, the largest first; what takes nothing is left out. */
export function sumByCause(members: Iterable<{ cause: string; sizeBytes: number }>): CauseRow[] {
  const rows = new Map<string, CauseRow>();
  for (const { cause, sizeBytes } of members) {
    if (sizeBytes === 0) continue;
    const row = rows.get(cause) ?? { cause, sizeBytes: 0, fileCount: 0 };
    row.sizeBytes += sizeBytes;
    row.fileCount++;
    rows.set(cause, row);
  }
  return [...rows.values()].sort((a, b) => b.sizeBytes - a.sizeBytes || byBytes(a.cause, b.cause));
}

/** Where nobody wrote down why a file is there: what it is, by its path. */
function kindOf(path: string): string {
  const plain = path.replace(/^usr\//, '');
  const module = /^lib\/modules\/[^/]+\/(.*\.ko)/.exec(plain)?.[1];
  if (module !== undefined) {
    const directory = module.split('/').slice(0, -1);
    return `modules of ${directory.slice(0, 3).join('/')}/`;
  }
  if (plain.startsWith('lib/modules/')) return 'module index';
  const firmware = /^lib\/firmware\/(updates\/)?(?:([^/]+)\/)?/.exec(plain);
  if (firmware !== null) return firmware[2] === undefined ? 'firmware' : `firmware of ${firmware[2]}/`;
  if (plain.includes('microcode')) return 'microcode';
  if (/\.so(\.|$)/.test(plain)) return 'libraries';
  if (/^s?bin\//.test(plain)) return 'programs';
  const cut = plain.lastIndexOf('/');
  return cut === -1 ? 'other files' : `files of ${plain.slice(0, cut)}/`;
}
