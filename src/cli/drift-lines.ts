import type { Adopted } from '../drift/adopt-changes.ts';
import type { Drift } from '../drift/diff-root.ts';
import { isTold, type DriftChange } from '../drift/drift.ts';
import type { DriftPackage } from '../drift/package-changes.ts';
import { showName } from '../top-layer/show.ts';

const letters = { added: 'A', changed: 'C', deleted: 'D' } as const;

/** A line for each package, and for each change that is no package's and no boot's; for those, too, where asked for. */
export function driftLines(
  { packages, changes }: Drift,
  { files, all }: { files: boolean; all: boolean },
): string[] {
  const isShown = (change: DriftChange): boolean =>
    (all || isTold(change)) && (files || change.package === undefined);
  return [
    ...packages.map((one, index) =>
      packageLine(one, changes.filter((change) => change.package === index).length),
    ),
    ...changes.filter(isShown).map(changeLine),
  ];
}

function packageLine({ kind, name, from, to, automatic }: DriftPackage, files: number): string {
  const word = kind === 'added' ? 'installed' : kind;
  const versions = [from, to].filter((version) => version !== null).join(' -> ');
  const words = [
    `${files} ${files === 1 ? 'path' : 'paths'}`,
    ...(automatic && kind === 'added' ? ['for another package'] : []),
  ];
  return `${word} ${name} ${versions} (${words.join(', ')})`;
}

function changeLine({ kind, path, differs, type, ignored }: DriftChange): string {
  // That its content changed, and so its time, need not be said.
  const said = differs.filter((one) => one !== 'time' && one !== 'content');
  const notes = [
    ...(said.length === 0 ? [] : differs.filter((one) => one !== 'time')),
    ...(ignored === undefined ? [] : [`ignored: ${ignored}`]),
  ];
  const name = `/${showName(path)}` + (type === 'directory' ? '/' : '');
  return `${letters[kind]} ${name}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}

/** What was adopted: a Dockerfile's lines or a line a path, and where it is now. */
export function adoptedLines({ into, place, changes, lines }: Adopted): string[] {
  const told = into === 'dockerfile' ? lines : changes.map(({ kind, path }) => `${letters[kind]} ${path}`);
  if (place === null) return told;
  const end = { 'top-layer': 'The top layer', dockerfile: 'The Dockerfile', layer: 'The image' }[into];
  return [...told, `${end} ${place} has this now.`];
}
