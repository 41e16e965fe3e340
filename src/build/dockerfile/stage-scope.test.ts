import { expect, test } from 'vitest';
import type { Instruction } from './instruction.ts';
import { parseDockerfile } from './parse-dockerfile.ts';
import { StageScope, type ScopeOptions } from './stage-scope.ts';

interface Run {
  scope: StageScope;
  last: Instruction;
}

/** Gives a scope the ENVs and ARGs of a stage, in order. */
function enter(text: string, options: Partial<ScopeOptions> = {}): Run {
  const { stages } = parseDockerfile(`FROM scratch\n${text}`, 'D');
  const scope = new StageScope({ escape: '\\', globals: new Map(), environment: [], ...options });
  const { instructions } = stages[0]!;
  for (const instruction of instructions) {
    if (instruction.kind === 'ENV') scope.setEnvironment(instruction);
    if (instruction.kind === 'ARG') scope.declare(instruction);
  }
  return { scope, last: instructions.at(-1)! };
}

test('ENV goes into the image, ARG only into RUN', () => {
  const { scope } = enter('ARG a=1\nENV b=$a c="x y"', { environment: ['PATH=/bin'] });
  expect(scope.environment).toEqual(['PATH=/bin', 'b=1', 'c=x y']);
  expect(scope.runEnvironment).toEqual(['a=1', 'PATH=/bin', 'b=1', 'c=x y']);
});

test('all values of one ENV see the variables from before it', () => {
  const { scope } = enter('ENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc');
  expect(scope.environment).toEqual(['abc=bye', 'def=hello', 'ghi=bye']);
});

test('an ENV hides an ARG, wherever it stands', () => {
  expect(enter('ARG v=1\nENV v=2\nUSER x').scope.runEnvironment).toEqual(['v=2']);
  expect(enter('ENV v=2\nARG v=1').scope.runEnvironment).toEqual(['v=2']);
  expect(enter('ARG v=1', { environment: ['v=2'], buildArgs: { v: '3' } }).scope.runEnvironment).toEqual([
    'v=2',
  ]);
  const { scope, last } = enter('ARG v\nENV v=${v:-dev}\nUSER $v', { buildArgs: { v: '3' } });
  expect(scope.expand('$v', last)).toBe('3');
});

test.each<[string, string, Partial<ScopeOptions>, string[]]>([
  ['has its default', 'ARG a=1', {}, ['a=1']],
  ['has what --build-arg says', 'ARG a=1', { buildArgs: { a: '2' } }, ['a=2']],
  ['has the global value where it has no default', 'ARG a', { globals: new Map([['a', '3']]) }, ['a=3']],
  ['has its own default before the global value', 'ARG a=1', { globals: new Map([['a', '3']]) }, ['a=1']],
  ['has no value without any', 'ARG a', {}, []],
  ['keeps its value when it is declared again', 'ARG a=1\nARG a', {}, ['a=1']],
  ['can be empty', 'ARG a=', {}, ['a=']],
  ['sees those before it', 'ARG a=1 b=$a', {}, ['a=1', 'b=1']],
  [
    'is unknown without a declaration',
    'ARG b',
    { buildArgs: { a: '2' }, globals: new Map([['a', '3']]) },
    [],
  ],
])('an ARG %s', (_, text, options, environment) => {
  expect(enter(text, options).scope.runEnvironment).toEqual(environment);
});

test('a stage goes on with the ARGs of the stage it is FROM', () => {
  const parent = enter('ARG a=1').scope;
  expect(enter('USER x', { parent }).scope.runEnvironment).toEqual(['a=1']);
});

test('proxies reach RUN without an ARG, and neither history nor cache key', () => {
  const { scope, last } = enter('ARG a=1\nRUN x', { buildArgs: { HTTP_PROXY: 'p', no_proxy: 'n' } });
  expect(scope.runEnvironment).toEqual(['HTTP_PROXY=p', 'http_proxy=p', 'NO_PROXY=n', 'no_proxy=n', 'a=1']);
  expect(scope.historyArguments).toEqual(['a=1']);
  expect(scope.argumentsOf(last)).toEqual([['a', '1']]);
  const declared = enter('ARG HTTP_PROXY\nRUN x', { buildArgs: { HTTP_PROXY: 'p' } });
  expect(declared.scope.argumentsOf(declared.last)).toEqual([['HTTP_PROXY', 'p']]);
});

test.each([
  ['RUN x', ['a', 'b']],
  ['COPY $a /', ['a']],
  ['COPY --chown=${b:-0} x /', ['b']],
  ['COPY <<E /\n"$b" \'$a\'\nE', ['a', 'b']],
  ['COPY <<"E" /\n$b\nE', []],
  ["LABEL x='$a' y=\\$b", []],
  ['CMD $a', []],
])('%s sees the ARGs %j', (text, names) => {
  const { scope, last } = enter(`ARG a=1 b=2 hidden=3 none\nENV hidden=4\n${text}`);
  expect(scope.argumentsOf(last).map(([name]) => name)).toEqual(names);
});

test('errors tell the place', () => {
  const { scope, last } = enter('USER ${a:?say who}');
  expect(() => scope.expand('${a:?say who}', last)).toThrow('D:2: a: say who: USER ${a:?say who}');
  expect(() => enter('ENV $x=1')).toThrow('D:2: a name is empty after expansion: ENV $x=1');
});

test('values that double with each line end in an error', () => {
  const doubling = 'ENV a=$a$a$a$a\n'.repeat(40);
  expect(() => enter(`ENV a=x\n${doubling}`)).toThrow(
    'a value is longer than 131071 characters after expansion',
  );
});
