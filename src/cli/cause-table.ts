import type { CauseRow } from '../initramfs/explain.ts';
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
