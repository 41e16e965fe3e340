import type { ImageComparison } from '../origin/compare-images.ts';
import type { FileChange } from '../origin/tree-changes.ts';
import { humanSize, table } from './table.ts';

const letters = { added: 'A', removed: 'D', changed: 'C' } as const;
const kinds = ['upgraded', 'downgraded', 'changed', 'added', 'removed'] as const;

interface Wishes {
  packages: boolean;
  files: boolean;
  all: boolean;
}

/** Packages, then files, each with a line that sums them up. */
export function comparisonLines({ packages, files }: ImageComparison, wishes: Wishes): string {
  return [
    ...(wishes.files ? [] : packageLines(packages)),
    ...(wishes.packages || wishes.files ? [] : ['']),
    ...(wishes.packages ? [] : fileLines(files, wishes.all)),
  ].join('\n');
}

function packageLines(packages: ImageComparison['packages']): string[] {
  const counts = kinds.flatMap((kind) => {
    const count = packages.filter((change) => change.kind === kind).length;
    return count === 0 ? [] : `${count} ${kind}`;
  });
  if (counts.length === 0) return ['Packages: no difference'];
  const rows = packages.map(({ kind, name, architecture, from, to }) => [
    kind,
    name,
    architecture,
    [from, to].filter((version) => version !== null).join(' -> '),
  ]);
  return [`Packages: ${counts.join(', ')}`, table(['CHANGE', 'NAME', 'ARCHITECTURE', 'VERSION'], rows)];
}

function fileLines(files: readonly FileChange[], all: boolean): string[] {
  const shown = all
    ? files
    : files.filter(({ kind, aspects }) => kind !== 'changed' || !isTimeAlone(aspects));
  const untold = files.length - shown.length;
  const more = untold === 0 ? '' : `; another time and nothing else: ${untold} (--all)`;
  const counts = (['added', 'removed', 'changed'] as const).flatMap((kind) => summary(shown, kind));
  if (counts.length === 0) return [`Files: no difference${more}`];
  return [`Files: ${counts.join(', ')}${more}`, ...(all ? shown.map(fileLine) : collapsed(shown))];
}

function isTimeAlone(aspects: FileChange['aspects']): boolean {
  return aspects.every((aspect) => aspect === 'time');
}

function summary(files: readonly FileChange[], kind: FileChange['kind']): string[] {
  const some = files.filter((file) => file.kind === kind);
  if (some.length === 0) return [];
  const bytes = some.reduce((sum, { sizeBytes: [before, after] }) => sum + after - before, 0);
  const size = bytes < 0 ? `-${humanSize(-bytes)}` : `${kind === 'removed' ? '' : '+'}${humanSize(bytes)}`;
  return [`${some.length} ${kind} (${size})`];
}

/** A directory that is new or gone as a whole is one line. */
function collapsed(files: readonly FileChange[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < files.length;) {
    const file = files[at]!;
    let end = at + 1;
    if (file.type === 'directory' && file.kind !== 'changed')
      while (files[end]?.kind === file.kind && files[end]!.path.startsWith(`${file.path}/`)) end += 1;
    const below = files.slice(at + 1, end).filter(({ type }) => type !== 'directory');
    const bytes = below.reduce((sum, { sizeBytes: [before, after] }) => sum + before + after, 0);
    const count = `${below.length} ${below.length === 1 ? 'file' : 'files'}, ${humanSize(bytes)}`;
    lines.push(end === at + 1 ? fileLine(file) : `${letters[file.kind]} ${nameOf(file)}  ${count}`);
    at = end;
  }
  return lines;
}

function fileLine(file: FileChange): string {
  const { kind, type, aspects, sizeBytes } = file;
  const [before, after] = sizeBytes.map(humanSize) as [string, string];
  const size =
    kind === 'changed'
      ? before === after
        ? after
        : `${before} -> ${after}`
      : kind === 'added'
        ? after
        : before;
  return [
    `${letters[kind]} ${nameOf(file)}`,
    ...(type === 'file' ? [size] : []),
    ...aspects.slice(0, 1).map(() => aspects.join(', ')),
  ].join('  ');
}

function nameOf({ path, type }: FileChange): string {
  return `${path}${type === 'directory' && path !== '/' ? '/' : ''}`;
}
