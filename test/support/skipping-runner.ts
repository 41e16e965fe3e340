import { TestRunner, type RunnerTestFile, type RunnerTestSuite } from 'vitest';
import { missingVariable } from './requirements.ts';

/** Skips every test, hooks and all, where the global setup found that this host cannot run them. */
export default class SkippingRunner extends TestRunner {
  onCollected(files: RunnerTestFile[]): void {
    if (process.env[missingVariable] !== undefined) for (const file of files) skip(file);
  }
}

function skip(suite: RunnerTestSuite): void {
  suite.mode = 'skip';
  for (const task of suite.tasks) {
    if (task.type === 'suite') skip(task);
    else task.mode = 'skip';
  }
}
