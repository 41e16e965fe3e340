import type { StepReport } from '../trial/run-steps.ts';
import type { TrialReport } from '../trial/run-trial.ts';
import { printable } from './table.ts';

/** A step as a line, and below it what was not as expected. */
export function describeStep({ name, ok, seconds, why, stdout, stderr }: StepReport): string {
  const line = `${ok ? 'ok    ' : 'FAILED'} ${seconds.toFixed(1).padStart(6)} s  ${printable(name)}`;
  return [
    why === undefined ? line : `${line}: ${why}`,
    ...streamLines('stdout', stdout),
    ...streamLines('stderr', stderr),
  ].join('\n');
}

/** What comes after the steps. */
export function describeTrial({ ok, steps, console }: TrialReport): string {
  if (ok) return `All ${steps.length} steps were as expected.`;
  const failed = steps.find((step) => !step.ok)!;
  const lines = console === undefined ? [] : ["The console's last lines:", console];
  return [...lines, `FAILED: ${printable(failed.name)}`].join('\n');
}

function streamLines(name: string, text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  return text.split('\n').map((line) => `  ${name} | ${printable(line)}`);
}
