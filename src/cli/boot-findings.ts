import type { BootFinding } from '../boot/bootability.ts';

/** The findings as lines, each with what to do. */
export function bootFindingLines(reference: string, findings: readonly BootFinding[]): string[] {
  if (findings.length === 0)
    return [`${reference} has what a boot needs: a kernel with its modules, and an init`];
  return findings.flatMap(({ level, part, message, hint }) => [`${level}: ${part}: ${message}`, `  ${hint}`]);
}
