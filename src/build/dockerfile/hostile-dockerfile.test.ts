import { array, assert, constantFrom, oneof, property, string, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { ImgbootError } from '../../errors.ts';
import { planStages } from './plan-stages.ts';
import { parseDockerfile } from './parse-dockerfile.ts';
import { globalArguments } from './global-arguments.ts';
import { matchGlob } from './glob.ts';
import { parseIgnore } from './ignore.ts';
import { resolveMount } from './mount.ts';
import { runScript } from './run-script.ts';
import { StageScope } from './stage-scope.ts';

const KEYWORDS = [
  ...'FROM FROM FROM RUN COPY ADD ENV ARG LABEL WORKDIR USER EXPOSE VOLUME ENTRYPOINT CMD SHELL'.split(' '),
  ...'STOPSIGNAL HEALTHCHECK ONBUILD MAINTAINER from RU\\\nN NOPE # {'.split(' '),
];
const PIECES = [
  'a',
  'b',
  '/',
  '.',
  '..',
  '$a',
  '${a',
  '${a:-',
  '${a#*',
  '${a//b/c}',
  '}',
  '"',
  "'",
  '\\',
  '\\\n',
  '\\ \n',
  '`',
  '<<E',
  '<<-E',
  '<<"E"',
  '<< E',
  '<<<E',
  '3<<E',
  '\nE\n',
  '\n	E\n',
  '\n',
  '\r\n',
  '\r',
  '	',
  ' ',
  ' ',
  ' ',
  '\0',
  '["a"]',
  '["a", "b"]',
  '[',
  ']',
  '[1]',
  '{',
  ',',
  '=',
  '--',
  '--from=',
  '--from=0',
  '--from=a',
  '--mount=',
  'type=cache,target=/a',
  'type=secret,id=a',
  'from=b',
  '--network=none',
  '--link',
  '--chmod=',
  '--platform=$a',
  'AS a',
  'AS b',
  'AS c',
  'scratch',
  'NONE',
  'CMD',
  '80/tcp',
  '1-65535',
  'a=b',
  'a=$a$a',
  '*',
  '**',
  '[a-',
  '\\*',
  '#',
  '# escape=`\n',
  '﻿',
  '\xA0',
  '\u2028',
  'é',
  '😀',
  '__proto__',
  'constructor=1',
  '--interval=1s',
];

const line = tuple(constantFrom(...KEYWORDS), array(constantFrom(...PIECES), { maxLength: 8 })).map(
  ([keyword, pieces]) => `${keyword} ${pieces.join('')}\n`,
);
const structured = array(line, { maxLength: 12 }).map((lines) => `FROM scratch AS a\n${lines.join('')}`);
/** Whole lines that mostly are right, so that the planner sees more than one stage. */
const plausible = array(
  constantFrom(
    'FROM a',
    'FROM b AS b',
    'FROM $a AS c',
    'FROM a AS d',
    'FROM --platform=linux/$a b',
    'FROM 0',
    'COPY --from=b x y',
    'COPY --from=0 x y',
    'COPY --from=2 x y',
    'COPY --from=nginx x y',
    'ARG a',
    'ARG a=$a$a',
    'RUN --mount=from=c,target=/m a',
    'ONBUILD COPY --from=d a b',
    'ENV a=$a$a b=${a:?x}',
    'RUN <<E\na\nE',
    'COPY <<E <<F /d/\n$a\nE\n"$b\nF',
    'USER $a',
    'EXPOSE $a 80-90',
    'LABEL $a=$b',
    'WORKDIR ${a%/*}',
  ),
  { maxLength: 14 },
).map((lines) => `ARG a=b\nFROM x AS a\n${lines.join('\n')}\n`);
const generated = oneof(
  { weight: 5, arbitrary: structured },
  { weight: 4, arbitrary: plausible },
  { weight: 1, arbitrary: string({ unit: 'binary', maxLength: 200 }) },
);

/** All that a build does with a Dockerfile before it runs anything. */
function readAll(text: string): void {
  const dockerfile = parseDockerfile(text, 'Dockerfile');
  const globals = globalArguments(dockerfile, { buildArgs: { a: '1' } });
  for (const { stage, instructions } of planStages(dockerfile, { buildArgs: { a: 'b' } })) {
    const scope = new StageScope({ escape: dockerfile.escape, globals, environment: ['PATH=/bin'] });
    for (const instruction of instructions) {
      scope.argumentsOf(instruction);
      if (instruction.kind === 'ENV') scope.setEnvironment(instruction);
      if (instruction.kind === 'ARG') scope.declare(instruction);
      if (instruction.kind === 'COPY') {
        for (const source of instruction.sources) scope.expand(source, instruction);
        for (const { content } of instruction.files) scope.expandHeredoc(content, instruction);
      }
      if (instruction.kind === 'EXPOSE')
        for (const port of instruction.ports) scope.expandWords(port, instruction);
      if (instruction.kind !== 'RUN') continue;
      runScript(instruction);
      for (const mount of instruction.mounts) resolveMount(mount, (word) => scope.expand(word, stage));
    }
  }
}

/** What went right, or the one kind of error that may be. */
function outcome(work: () => void): 'done' | 'refused' {
  try {
    work();
    return 'done';
  } catch (error) {
    if (error instanceof ImgbootError && error.code === 'IMGBOOT_DOCKERFILE') return 'refused';
    throw error;
  }
}

test('ten thousand generated Dockerfiles are read or refused, never more', { timeout: 30_000 }, () => {
  const outcomes = { done: 0, refused: 0 };
  assert(
    property(generated, (text) => {
      outcomes[outcome(() => readAll(text))]++;
    }),
    { numRuns: 10_000 },
  );
  // Generators that only ever made nonsense, or no nonsense at all, would test nothing.
  expect(outcomes.done).toBeGreaterThan(500);
  expect(outcomes.refused).toBeGreaterThan(500);
});

test('generated patterns match or are refused', () => {
  const pattern = array(constantFrom('a', '/', '*', '**', '?', '[', ']', '^', '-', '\\', '!', '\n', 'é'));
  const path = array(constantFrom('a', 'b', '/a', '/', 'é')).map((parts) => parts.join(''));
  assert(
    property(pattern, path, (parts, name) => {
      const text = parts.join('');
      expect(outcome(() => void parseIgnore(text).ignoresAllBelow(name))).toMatch(/done|refused/);
      expect(outcome(() => void matchGlob(text, name, { doubleStar: true }))).toMatch(/done|refused/);
    }),
    { numRuns: 3000 },
  );
});

test.each<[string, string]>([
  ['one long line', `FROM x\nRUN ${'a \\ '.repeat(200_000)}`],
  ['many flags', `FROM x\nRUN ${'--mount=type=cache,target=/a '.repeat(20_000)} b`],
  ['many continued lines', `FROM x\nRUN a${' \\\n # b\n\n c'.repeat(50_000)}`],
  ['many comments', `${'# a\n'.repeat(200_000)}FROM x`],
  ['many comments like directives', `${'# a=b\n'.repeat(100_000)}FROM x`],
  ['many instructions', `FROM x\n${'USER a\n'.repeat(50_000)}`],
  ['many heredocs', `FROM x\nRUN ${'<<A '.repeat(5000)}\n${'A\n'.repeat(5000)}`],
  [
    'many stages',
    Array.from(
      { length: 3000 },
      (_, index) => `FROM ${index < 1 ? 'x' : `s${index - 1}`} AS s${index}\n`,
    ).join(''),
  ],
  ['deep JSON', `FROM x\nCMD ${'['.repeat(100_000)}`],
  ['deep braces', `FROM x\nUSER ${'${a:-'.repeat(100_000)}`],
  ['quotes', `FROM x\nENV ${'a="b" '.repeat(50_000)}`],
  ['an open quote', `FROM x\nENV a="${'\\"'.repeat(100_000)}`],
  ['ONBUILD', `FROM x\n${'ONBUILD '.repeat(50_000)}RUN a`],
])('%s takes no more than a few seconds', (_, text) => {
  const start = performance.now();
  outcome(() => readAll(text));
  expect(performance.now() - start).toBeLessThan(3000);
});
