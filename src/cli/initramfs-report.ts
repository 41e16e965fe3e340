import type { Comparison } from '../initramfs/compare.ts';
import type { CauseRow } from '../initramfs/explain.ts';
import { printable } from '../initramfs/member-line.ts';
import { humanSize, table } from './table.ts';

/** The bytes of an initramfs by what they are for. */
export function causeTable(rows: readonly CauseRow[]): string {
  const total = rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const share = (bytes: number): string => `${total === 0 ? 0 : Math.round((bytes / total) * 100)} %`;
  return table(
    ['SIZE', 'SHARE', 'FILES', 'WHAT FOR'],
    rows.map(({ sizeBytes, fileCount, cause }) => [
      humanSize(sizeBytes),
      share(sizeBytes),
      String(fileCount),
      cause,
    ]),
  );
}

/** What changed against an older initramfs: `+` is new, `-` is gone, `~` differs. */
export function comparisonLines({ added, removed, changed }: Comparison): string[] {
  const sum = (files: readonly { sizeBytes: number }[]): number =>
    files.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  const growth = changed.reduce((total, { oldBytes, newBytes }) => total + newBytes - oldBytes, 0);
  return [
    ...added.map(({ path, sizeBytes }) => `+ ${printable(path)} (${humanSize(sizeBytes)})`),
    ...removed.map(({ path, sizeBytes }) => `- ${printable(path)} (${humanSize(sizeBytes)})`),
    ...changed.map(({ path, oldBytes, newBytes }) => {
      const sizes = oldBytes === newBytes ? 'same size' : `${humanSize(oldBytes)} -> ${humanSize(newBytes)}`;
      return `~ ${printable(path)} (${sizes})`;
    }),
    `${added.length} new (${humanSize(sum(added))}), ${removed.length} gone (${humanSize(sum(removed))}), ` +
      `${changed.length} changed (${growth < 0 ? '-' : '+'}${humanSize(Math.abs(growth))})`,
  ];
}
