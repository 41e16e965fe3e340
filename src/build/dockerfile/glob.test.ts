import { describe, expect, test } from 'vitest';
import { globBase, isGlob, matchGlob } from './glob.ts';

describe('matchGlob', () => {
  test.each([
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['a[^a]b', 'a☺b', true],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['a?b', 'a/b', false],
    ['a*b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-]', '-', true],
    ['[x\\-]', '-', true],
    ['[\\-x]', 'a', false],
    ['*x', 'xxx', true],
    ['a/**', 'a/b', true],
    ['a/**', 'a/b/c', false],
  ])('%s on %s: %s', (pattern, path, matches) => {
    expect(matchGlob(pattern, path, { doubleStar: false })).toBe(matches);
  });

  test.each([
    ['src/**/*.txt', 'src/a.txt', true],
    ['src/**/*.txt', 'src/x/y/a.txt', true],
    ['src/**/*.txt', 'a.txt', false],
    ['**/a', 'a', true],
    ['**/a', 'ba', false],
    ['src/**', 'src/x/y', true],
  ])('with ** as directories, %s on %s: %s', (pattern, path, matches) => {
    expect(matchGlob(pattern, path, { doubleStar: true })).toBe(matches);
  });

  test.each(['[]a]', '[-]', '[x-]', '[-x]', '[a-b-c]', '[', '[^', '[^bc', 'a[', 'a\\'])(
    '%s is an error',
    (pattern) => {
      expect(() => matchGlob(pattern, 'a', { doubleStar: false })).toThrow(
        expect.objectContaining({ code: 'IMGBOOT_DOCKERFILE' }),
      );
    },
  );
});

test('a glob has a base that holds all it matches', () => {
  expect(['a/b/*.c', '*.c', 'a/b', '[ab]/c', 'a/b\\*/c/*'].map(globBase)).toEqual(['a/b', '', 'a', '', 'a']);
  expect(['a/b', 'a*', 'a?', 'a[b]', 'a\\b'].map(isGlob)).toEqual([false, true, true, true, true]);
});
