import { describe, expect, test } from 'vitest';
import { globalArguments, unusedBuildArgs } from './global-arguments.ts';
import { parseDockerfile } from './parse-dockerfile.ts';
import { planStages, type PlanOptions } from './plan-stages.ts';
import { parsePlatform } from './platform.ts';

const MULTI = `FROM a AS base
FROM base AS unused
FROM b AS tools
FROM base AS build
COPY --from=tools /x /x
COPY --from=2 /y /y
RUN --mount=from=registry/img:1,target=/m --mount=type=cache,target=/c make
FROM scratch
COPY --from=BUILD /out /
`;

function plan(text: string, options: PlanOptions = {}): ReturnType<typeof planStages> {
  return planStages(parseDockerfile(text, 'Dockerfile'), options);
}

function indexes(text: string, options: PlanOptions = {}): number[] {
  return plan(text, options).map(({ stage }) => stage.index);
}

describe('planStages', () => {
  test('only the stages that the target needs are planned', () => {
    expect(indexes(MULTI)).toEqual([0, 2, 3, 4]);
    expect(indexes(MULTI, { target: 'unused' })).toEqual([0, 1]);
    expect(indexes(MULTI, { target: 'Tools' })).toEqual([2]);
    expect(indexes(MULTI, { target: '0' })).toEqual([0]);
  });

  test('a plan says where files come from', () => {
    const [base, , build, last] = plan(MULTI);
    expect(base).toMatchObject({ base: { kind: 'image', reference: 'a' }, dependencies: [] });
    expect(build).toMatchObject({ base: { kind: 'stage', index: 0 }, dependencies: [0, 2] });
    expect([...build!.sources]).toEqual([
      ['tools', { kind: 'stage', index: 2 }],
      ['2', { kind: 'stage', index: 2 }],
      ['registry/img:1', { kind: 'image', reference: 'registry/img:1' }],
    ]);
    expect(last).toMatchObject({ base: { kind: 'scratch' }, dependencies: [3] });
    expect([...last!.sources]).toEqual([['BUILD', { kind: 'stage', index: 3 }]]);
  });

  test('a stage named like its image is FROM the image', () => {
    expect(plan('FROM debian AS debian\nFROM debian')).toMatchObject([
      { base: { kind: 'image', reference: 'debian' } },
      { base: { kind: 'stage', index: 0 } },
    ]);
    expect(plan('FROM later\nFROM x AS later', { target: '0' })).toMatchObject([
      { base: { kind: 'image', reference: 'later' } },
    ]);
  });

  test('FROM sees global ARGs and the platform', () => {
    const text = 'ARG V=12\nARG IMAGE=debian:${V}\nFROM --platform=linux/$TARGETARCH $IMAGE';
    const platform = parsePlatform('linux/arm64');
    expect(plan(text, { platform })).toMatchObject([
      { base: { reference: 'debian:12' }, platform: { os: 'linux', architecture: 'arm64' } },
    ]);
    expect(plan(text, { buildArgs: { V: '13' } })).toMatchObject([{ base: { reference: 'debian:13' } }]);
  });

  test('the triggers of a base come first', () => {
    const text =
      'FROM x AS tools\nFROM y AS base\nONBUILD COPY --from=tools /a /b\nONBUILD RUN c\nFROM base\nRUN d';
    expect(plan(text)).toMatchObject([
      { stage: { index: 0 } },
      { stage: { index: 1 } },
      {
        dependencies: [0, 1],
        instructions: [{ kind: 'COPY' }, { kind: 'RUN', command: 'c' }, { command: 'd' }],
      },
    ]);
    expect(plan('FROM x\nRUN b', { triggers: new Map([[0, ['RUN a']]]) })).toMatchObject([
      {
        instructions: [
          { command: 'a', line: 1 },
          { command: 'b', line: 2 },
        ],
      },
    ]);
  });

  test.each<[string, string, PlanOptions]>([
    ['FROM a AS b', 'Dockerfile has no stage "c" for --target', { target: 'c' }],
    ['FROM a AS b', 'Dockerfile has no stage "1" for --target', { target: '1' }],
    ['FROM $A', 'Dockerfile:1: the image is empty: FROM $A', {}],
    ['FROM ${A', 'Dockerfile:1: missing } in ${}: FROM ${A', {}],
    ['FROM --platform=$A a', 'Dockerfile:1: not a platform: "": FROM', {}],
    ['ARG A=${B\nFROM a', 'Dockerfile:1: missing } in ${}: ARG A=${B', {}],
    ['FROM a AS b\nCOPY --from=b x y', 'Dockerfile:2: stage b takes files from itself: COPY', {}],
    ['FROM a AS b\nCOPY --from=0 x y', 'Dockerfile:2: stage b takes files from itself: COPY', {}],
    ['FROM a\nCOPY --from=7 x y', 'Dockerfile:2: there is no stage 7: COPY', {}],
    [
      'FROM a\nCOPY --from=l x y\nFROM b AS l',
      'Dockerfile:2: stage l begins only at line 3: COPY',
      { target: '0' },
    ],
    [
      'FROM a AS x\nCOPY --from=y p q\nFROM a AS y\nCOPY --from=x p q',
      'Dockerfile:2: circular: stage y (line 3) needs this stage itself: COPY',
      {},
    ],
    [
      'FROM a AS x\nRUN --mount=from=z,target=/m q\nFROM x AS y\nFROM y AS z',
      'Dockerfile:2: circular: stage z (line 4) needs this stage itself: RUN',
      {},
    ],
    [
      'FROM a',
      'Dockerfile:1: FROM cannot be a trigger: ONBUILD FROM b',
      { triggers: new Map([[0, ['FROM b']]]) },
    ],
    ['FROM a', 'the trigger of the base image is not one instruction', { triggers: new Map([[0, ['']]]) }],
  ])('%j is an error', (text, message, options) => {
    expect(() => plan(text, options)).toThrow(message);
  });

  test('an unknown target is told the targets there are', () => {
    expect(() => plan('FROM a AS build\nFROM b', { target: 'biuld' })).toThrow(
      expect.objectContaining({ hint: 'did you mean build? allowed: build, 1' }),
    );
  });
});

test('global arguments come from ARG, --build-arg and the platform', () => {
  const dockerfile = parseDockerfile('ARG A=1\nARG B=$A-$TARGETOS C\nFROM x', 'D');
  const globals = globalArguments(dockerfile, {
    buildArgs: { A: '2', X: 'y', TARGETVARIANT: 'v9' },
    platform: parsePlatform('linux/arm/v6'),
    target: 't',
  });
  expect(Object.fromEntries(globals)).toMatchObject({
    A: '2',
    B: '2-linux',
    TARGETPLATFORM: 'linux/arm/v6',
    TARGETOS: 'linux',
    TARGETARCH: 'arm',
    TARGETVARIANT: 'v9',
    TARGETSTAGE: 't',
    BUILDOS: 'linux',
  });
  expect(globals.has('C')).toBe(false);
  expect(globals.has('X')).toBe(false);
});

test('a --build-arg that no ARG asks for is told', () => {
  const dockerfile = parseDockerfile('ARG A\nFROM x\nARG B', 'D');
  const buildArgs = { A: '', B: '', C: '', http_proxy: '', TARGETARCH: '', SOURCE_DATE_EPOCH: '0' };
  expect(unusedBuildArgs(dockerfile, buildArgs)).toEqual(['C']);
});
