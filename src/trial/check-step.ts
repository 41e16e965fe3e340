import type { ProgramEnd, TextExpectation, TrialStep } from './trial.ts';

/** What of a step was not as expected, in words; undefined where all was. Pure. */
export function checkStep(step: TrialStep, end: ProgramEnd): string | undefined {
  if (end.status === 'late') return `did not end within ${step.withinSeconds} s`;
  if (step.exitStatus !== undefined && end.status !== step.exitStatus)
    return `exit status ${end.status}, expected ${step.exitStatus}`;
  return checkText('stdout', step.stdout, end.stdout) ?? checkText('stderr', step.stderr, end.stderr);
}

function checkText(
  name: string,
  expectations: readonly TextExpectation[],
  bytes: Buffer,
): string | undefined {
  const text = bytes.toString();
  const missed = expectations.find((expectation) => !isAsExpected(expectation, text));
  return missed && `${name} ${inWords(missed)}`;
}

function isAsExpected(expectation: TextExpectation, text: string): boolean {
  switch (expectation.kind) {
    case 'contains':
      return text.includes(expectation.text);
    case 'lacks':
      return !text.includes(expectation.text);
    case 'equals':
      return withoutLastNewline(text) === withoutLastNewline(expectation.text);
    case 'matches':
      return expectation.pattern.test(text);
  }
}

/** Programs end their output with one, and people do not write it. */
function withoutLastNewline(text: string): string {
  return text.replace(/\n$/, '');
}

function inWords(expectation: TextExpectation): string {
  switch (expectation.kind) {
    case 'contains':
      return `does not contain ${JSON.stringify(expectation.text)}`;
    case 'lacks':
      return `contains ${JSON.stringify(expectation.text)}`;
    case 'equals':
      return `is not ${JSON.stringify(expectation.text)}`;
    case 'matches':
      return `does not match ${expectation.pattern}`;
  }
}
