import type { Phase } from './timeline.ts';

/** How long a phase took in each of two boots. */
export interface PhaseComparison {
  name: string;
  /** Null where that boot has no such phase. */
  ms: number | null;
  againstMs: number | null;
}

/** The phases of two boots by name, in the order of the first, and then those that the second alone has. Pure. */
export function comparePhases(first: readonly Phase[], second: readonly Phase[]): PhaseComparison[] {
  const names = new Set([...first, ...second].map(({ name }) => name));
  const lengthIn = (phases: readonly Phase[], name: string): number | null => {
    const found = phases.filter((phase) => phase.name === name);
    return found.length === 0 ? null : found.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
  };
  return [...names].map((name) => ({ name, ms: lengthIn(first, name), againstMs: lengthIn(second, name) }));
}
