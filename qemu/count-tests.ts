import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

// The closing line of `npm test`: the counts of all stages, from vitest's own reports.
// $1: the directory of the reports
// $2: the exit status of the stages; a stage that failed without a failed test (types, a setup) counts as one.

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
}

const [directory = '', status = '0'] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const name of await readdir(directory)) {
  const report = JSON.parse(await readFile(path.join(directory, name), 'utf8')) as Report;
  sum.passed += report.numPassedTests;
  sum.failed += report.numFailedTests;
  sum.skipped += report.numPendingTests + report.numTodoTests;
}
if (status !== '0' && sum.failed === 0) sum.failed = 1;
if (sum.skipped > 0 && process.env['CI'] === 'true') {
  process.stderr.write(`${sum.skipped} tests were skipped, which CI=true does not allow\n`);
  process.exitCode = 1;
}
// A run without a single test says nothing about the program.
if (sum.passed === 0) process.exitCode = 1;
const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : '';
process.stdout.write(`\n${sum.passed} passed, ${sum.failed} failed${skipped}\n`);
