import { describe, expect, it } from 'vitest';
import { chainIds } from './chain-id.ts';
import type { DiffId } from './digest.ts';

describe('chain IDs', () => {
  it('are the DiffID at the bottom, then the digest of parent and DiffID', () => {
    // printf 'sha256:111... sha256:222...' | sha256sum
    const a = `sha256:${'1'.repeat(64)}` as DiffId;
    const b = `sha256:${'2'.repeat(64)}` as DiffId;
    expect(chainIds([a, b])).toEqual([
      a,
      'sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5',
    ]);
  });

  it('of no layers are none', () => {
    expect(chainIds([])).toEqual([]);
  });
});
