import { findProgram } from '../../src/system/requirements-check.ts';

/** Set for the workers where tests cannot run here; holds what is missing. */
export const missingVariable = 'IMGBOOT_TEST_MISSING';

/**
 * Checks that this host has root and the programs that the tests use. Under CI=true what is missing is a failure;
 * elsewhere the tests are skipped, and it is said so.
 */
export async function requireForTests(programs: readonly string[]): Promise<void> {
  const missing: string[] = [];
  if (process.getuid?.() !== 0) missing.push('root');
  for (const program of programs) {
    if ((await findProgram(program)) === undefined) missing.push(program);
  }
  if (missing.length === 0) return;
  const words = `these tests need ${missing.join(', ')}; "bin/imgboot doctor develop --install" installs what can be`;
  if (process.env['CI'] === 'true') throw new Error(words);
  process.stderr.write(`\n*** SKIPPED: ${words}\n\n`);
  process.env[missingVariable] = missing.join(', ');
}
