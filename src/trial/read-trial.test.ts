import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseTrial } from './read-trial.ts';

describe('a test file', () => {
  it('is read with what each step does not say', () => {
    const text = `
boot: true
steps:
  - uname -r
  - name: the page is served
    run: [wget, -qO-, 'http://localhost/?a=1']
    within: 2.5
    retry: true
    expect:
      exit: any
      stdout: {contains: [one, two], lacks: three, equals: "4\\n", matches: '^5'}
      stderr: 6
`;
    expect(parseTrial('t', text)).toEqual({
      boot: true,
      steps: [
        {
          name: 'uname -r',
          words: ['/bin/sh', '-c', 'uname -r'],
          withinSeconds: 30,
          retry: false,
          exitStatus: 0,
          stdout: [],
          stderr: [],
        },
        {
          name: 'the page is served',
          words: ['wget', '-qO-', 'http://localhost/?a=1'],
          withinSeconds: 2.5,
          retry: true,
          exitStatus: undefined,
          stdout: [
            { kind: 'contains', text: 'one' },
            { kind: 'contains', text: 'two' },
            { kind: 'lacks', text: 'three' },
            { kind: 'equals', text: '4\n' },
            { kind: 'matches', pattern: /^5/mu },
          ],
          stderr: [{ kind: 'contains', text: '6' }],
        },
      ],
    });
  });

  it('reads as docs/test.md has it', () => {
    const page = readFileSync(path.join(import.meta.dirname, '../../docs/test.md'), 'utf8');
    const { boot, steps } = parseTrial('t', /```yaml\n([^]*?)```/.exec(page)![1]!);
    expect([boot, steps.map(({ name }) => name)]).toEqual([
      true,
      ['systemctl is-active multi-user.target', 'the page is served', 'nobody logs in without a password'],
    ]);
  });

  it('may be JSON', () => {
    expect(parseTrial('t', '{"steps": [{"run": ["true"]}]}').steps[0]!.words).toEqual(['true']);
  });

  it.each([
    ['', 't:1: a test is a mapping: boot, steps'],
    ['[]', 't:1: a test is a mapping: boot, steps'],
    ['steps: []', 't:1: it has no steps'],
    ['steps: one', 't:1: steps is a list'],
    ['steps: [a]\nnetwork: true', 't:2: a test has no "network"; it may have boot, steps'],
    ['boot: maybe\nsteps: [a]', 't:1: boot is true or false'],
    ['steps:\n - name: x', 't:2: the step has no run'],
    ['steps:\n - run: ""', 't:2: run is a script, or a list of a program and its arguments'],
    ['steps:\n - run: []', 't:2: run is a script, or a list of a program and its arguments'],
    ['steps:\n - run: [""]', 't:2: run is a script, or a list of a program and its arguments'],
    ['steps:\n - run: [a, "b\\0c"]', 't:2: run is a script, or a list of a program and its arguments'],
    ['steps:\n - run: [a, [b]]', 't:2: run is a text'],
    ['steps:\n - run: {a: b}', 't:2: run is a list'],
    ['steps:\n - run: a\n   within: 0', 't:3: within is a number of seconds, up to 86400'],
    ['steps:\n - run: a\n   within: soon', 't:3: within is a number'],
    ['steps:\n - run: a\n   within: 86401', 't:3: within is a number of seconds, up to 86400'],
    ['steps:\n - run: a\n   retry: 3', 't:3: retry is true or false'],
    ['steps:\n - run: a\n   expect: {exit: 256}', 't:3: exit is an exit status, 0 to 255, or any'],
    ['steps:\n - run: a\n   expect: {exit: 1.5}', 't:3: exit is an exit status, 0 to 255, or any'],
    [
      'steps:\n - run: a\n   expect: {status: 1}',
      't:3: expect has no "status"; it may have exit, stdout, stderr',
    ],
    ['steps:\n - run: a\n   expect: {stdout: {like: b}}', /^t:3: stdout has no "like"; it may have contains/],
    ['steps:\n - run: a\n   expect: {stdout: {matches: "("}}', /^t:3: Invalid regular expression/],
    ['steps: [a', /^t:1: /],
    ['steps: *x', /^t:1: /],
    ['a: 1\na: 2', /^t:2: Map keys must be unique/],
  ])('that is wrong is refused with the line: %j', (text, message) => {
    expect(() => parseTrial('t', text)).toThrow(message);
  });
});
