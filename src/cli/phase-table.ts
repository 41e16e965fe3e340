import type { PhaseComparison } from '../boot/compare-phases.ts';
import { table } from './table.ts';

/** Two boots, by their titles, beside one another: what each phase took, and how much longer the first took. */
export function phaseTable(first: string, second: string, phases: readonly PhaseComparison[]): string {
  const sum = (which: 'ms' | 'againstMs'): number =>
    phases.reduce((total, phase) => total + (phase[which] ?? 0), 0);
  const rows = [...phases, { name: 'all', ms: sum('ms'), againstMs: sum('againstMs') }];
  return [
    `1: ${first}`,
    `2: ${second}`,
    table(
      ['PHASE', '       1', '       2', '1 LONGER BY'],
      rows.map(({ name, ms, againstMs }) => [
        name,
        seconds(ms),
        seconds(againstMs),
        ms === null || againstMs === null ? '' : difference(ms - againstMs),
      ]),
    ),
  ].join('\n');
}

function seconds(ms: number | null): string {
  return ms === null ? '' : `${(ms / 1000).toFixed(2)} s`.padStart(8);
}

function difference(ms: number): string {
  return `${ms < 0 ? '-' : '+'}${(Math.abs(ms) / 1000).toFixed(2)} s`.padStart(11);
}
