import { describe, expect, it } from 'vitest';
import type { ChainId, Digest } from '../image/digest.ts';
import { allVersions, type Deployments, type Version } from './deployments.ts';
import type { Facts } from './facts.ts';
import { previousOf, rollbackTarget, unretained, withDefault, withoutVersions } from './retain.ts';

/** `desktop/1 desktop/2* kiosk/1!`: with a star it is the default, with an exclamation mark it is pinned. */
function deployed(text: string, { keep = 2, previous = null as string | null } = {}): Deployments {
  const words = text.split(' ').map((word) => /^((.+)\/([0-9]+))([*!]*)$/.exec(word)!);
  const names = [...new Set(words.map((word) => word[2]!))];
  const version = (word: RegExpExecArray): Version => ({
    number: Number(word[3]),
    reference: `${word[2]}:latest`,
    image: 'sha256:0' as Digest,
    chain: 'sha256:0' as ChainId,
    kver: '6.1',
    created: new Date(words.indexOf(word) * 1000).toISOString(),
    pinned: word[4]!.includes('!'),
    writable: 'ephemeral',
    append: [],
    topLayer: [],
    persist: [],
  });
  return {
    version: 1,
    machine: {
      root: [],
      store: '/imgboot',
      storePath: '/imgboot',
      loader: 'grub',
      boot: null,
      directory: '/grub',
      owner: 'imgboot',
    },
    default: words.find((word) => word[4]!.includes('*'))?.[1] ?? null,
    previous,
    deployments: names.map((name) => ({
      name,
      keep,
      next: 10,
      versions: words.filter((word) => word[2] === name).map(version),
    })),
  };
}

/** Good ones in the order of their being found so. */
function facts(good: string, more: Partial<Facts> = {}): Facts {
  const ids = good.split(' ').filter(Boolean);
  return { booted: undefined, tries: new Map(), good: new Map(ids.map((id, at) => [id, at])), ...more };
}

describe('nothing keeps a version', () => {
  it.each([
    ['but the newest two of a name', 'a/1 a/2 a/3*', 'a/2 a/3', {}, 'a/1'],
    ['unless it is the default', 'a/1* a/2 a/3', '', {}, ''],
    ['unless it runs', 'a/1 a/2 a/3*', 'a/2 a/3', { booted: 'a/1' }, ''],
    ['unless it is the last good one', 'a/1 a/2 a/3 a/4*', 'a/1 a/2', {}, 'a/1'],
    ['unless it is pinned', 'a/1! a/2 a/3 a/4*', 'a/3 a/4', {}, 'a/2'],
    ['of its own name only', 'a/1 b/1 b/2 b/3*', 'b/3', {}, 'b/1'],
    ['that has failed, either', 'a/1 a/2 a/3*', 'a/1', { tries: new Map([['a/2', 3]]) }, ''],
  ] as const)('%s: %s, good %s', (_, text, good, more, gone) => {
    const ids = unretained(deployed(text), facts(good, more)).map(({ id }) => id);
    expect(ids.join(' ')).toBe(gone);
  });

  it('and what is kept can be told', () => {
    expect(unretained(deployed('a/1 a/2 a/3*', { keep: 1 }), facts('a/3')).map(({ id }) => id)).toEqual([
      'a/1',
      'a/2',
    ]);
  });
});

describe('what a failing version goes back to', () => {
  it.each([
    ['the last good one', 'a/1 a/2 a/3*', 'a/1 a/2', null, 'a/2'],
    ['of any name', 'a/1 b/1*', 'a/1', null, 'a/1'],
    ['what was the default before, if that is good', 'a/1 a/2 a/3*', 'a/1 a/2', 'a/1', 'a/1'],
    ['not what was the default before and failed', 'a/1 a/2 a/3*', 'a/1', 'a/2', 'a/1'],
    ['nothing, where nothing is good', 'a/1 a/2 a/3*', '', null, undefined],
    ['never to itself', 'a/1*', 'a/1', null, undefined],
  ] as const)('is %s', (_, text, good, previous, expected) => {
    const deployments = deployed(text, { previous });
    expect(previousOf(deployments, deployments.default, facts(good))?.id).toBe(expected);
  });
});

describe('rollback', () => {
  it('goes back, and with another one forth', () => {
    const good = facts('a/1 a/2');
    const before = withDefault(deployed('a/1* a/2'), 'a/2', good);
    expect(before).toMatchObject({ default: 'a/2', previous: 'a/1' });
    const back = withDefault(before, rollbackTarget(before, good)!.id, good);
    expect(back).toMatchObject({ default: 'a/1', previous: 'a/2' });
    expect(rollbackTarget(back, good)!.id).toBe('a/2');
  });

  it('from a version that never was good remembers what was good before', () => {
    const good = facts('a/1 a/2');
    const next = withDefault(withDefault(deployed('a/1 a/2* a/3 a/4'), 'a/3', good), 'a/4', good);
    expect(next).toMatchObject({ default: 'a/4', previous: 'a/2' });
  });

  it('goes to an older one where nothing was ever found good, but to none that has failed', () => {
    const deployments = deployed('a/1 a/2 a/3*');
    expect(rollbackTarget(deployments, facts(''))!.id).toBe('a/2');
    expect(rollbackTarget(deployments, facts('', { tries: new Map([['a/2', 3]]) }))!.id).toBe('a/1');
    expect(rollbackTarget(deployed('a/1* a/2'), facts(''))).toBeUndefined();
  });
});

it('a name goes with its last version, and the default with its own', () => {
  const left = withoutVersions(deployed('a/1 b/1*', { previous: 'a/1' }), new Set(['b/1']));
  expect(allVersions(left).map(({ id }) => id)).toEqual(['a/1']);
  expect(left).toMatchObject({ default: null, previous: 'a/1', deployments: [{ name: 'a' }] });
});
