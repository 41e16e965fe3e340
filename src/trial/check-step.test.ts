import { expect, it } from 'vitest';
import { checkStep } from './check-step.ts';
import { parseTrial } from './read-trial.ts';

const end = { status: 0, stdout: Buffer.from('one\ntwo\n'), stderr: Buffer.from('') };

it.each([
  ['{}', end, undefined],
  ['{}', { ...end, status: 7 }, 'exit status 7, expected 0'],
  ['{exit: 7}', { ...end, status: 7 }, undefined],
  ['{exit: any}', { ...end, status: 7 }, undefined],
  ['{exit: any}', { ...end, status: 'late' as const }, 'did not end within 5 s'],
  ['{stdout: two}', end, undefined],
  ['{stdout: three}', end, 'stdout does not contain "three"'],
  ['{stdout: {lacks: two}}', end, 'stdout contains "two"'],
  ['{stdout: {equals: "one\\ntwo"}}', end, undefined],
  ['{stdout: {equals: "one"}}', end, 'stdout is not "one"'],
  ['{stdout: {matches: ["^two$", "^o"]}}', end, undefined],
  ['{stdout: {matches: "^w"}}', end, 'stdout does not match /^w/mu'],
  ['{stderr: {equals: ""}}', end, undefined],
  ['{stderr: {matches: .}}', end, 'stderr does not match /./mu'],
])('%s of %o', (expected, result, why) => {
  const [step] = parseTrial('t', `steps: [{run: x, within: 5, expect: ${expected}}]`).steps;
  expect(checkStep(step!, result)).toBe(why);
});
