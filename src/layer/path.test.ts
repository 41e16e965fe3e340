import { describe, expect, it } from 'vitest';
import { splitPath } from './path.ts';
import { classifyName } from './whiteout.ts';

describe('a path of a layer', () => {
  it.each([
    ['etc/passwd', 'etc', 'passwd'],
    ['./etc//./passwd/', 'etc', 'passwd'],
    ['/etc/passwd', 'etc', 'passwd'],
    ['../../etc/passwd', 'etc', 'passwd'],
    ['a/../../b/c', 'b', 'c'],
    ['a/b/..', '', 'a'],
    ['', '', ''],
    ['./', '', ''],
    ['..', '', ''],
    ['a/..', '', ''],
    ['...', '', '...'],
    ['a/ /b', 'a/ ', 'b'],
  ])('%j lies in %j as %j', (path, parent, name) => {
    expect(splitPath(path)).toEqual({ parent, name });
  });
});

describe('a name of a layer', () => {
  it.each([
    ['passwd', { kind: 'entry' }],
    ['.wh', { kind: 'entry' }],
    ['.wha.x', { kind: 'entry' }],
    ['wh.x', { kind: 'entry' }],
    ['.wh.x', { kind: 'whiteout', name: 'x' }],
    ['.wh..hidden', { kind: 'whiteout', name: '.hidden' }],
    ['.wh....', { kind: 'whiteout', name: '...' }],
    ['.wh..wh..opq', { kind: 'opaque' }],
    ['.wh..wh.aufs', { kind: 'ignored' }],
    ['.wh..wh.orph', { kind: 'ignored' }],
  ])('%j is %o', (name, kind) => {
    expect(classifyName(name, name)).toEqual(kind);
  });

  it.each(['.wh.', '.wh..', '.wh...'])('%j deletes what is no file name, and is refused', (name) => {
    expect(() => classifyName(name, `d/${name}`)).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_LAYER' }),
    );
  });
});
