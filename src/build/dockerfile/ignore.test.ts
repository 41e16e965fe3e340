import { describe, expect, test } from 'vitest';
import { parseIgnore } from './ignore.ts';

describe('parseIgnore', () => {
  test.each([
    ['**', 'file', true],
    ['**/', 'file', true],
    ['**', 'dir/file', true],
    ['**/**', 'dir/file', true],
    ['dir/**', 'dir/file', true],
    ['dir/**', 'dir/dir2/file', true],
    ['**/dir', 'dir', true],
    ['**/dir', 'dir/file', true],
    ['**/dir2/*', 'dir/dir2/file', true],
    ['**/dir2/**', 'dir/dir2/dir3/file', true],
    ['**file', 'file', true],
    ['**file', 'dir/file', true],
    ['**file', 'dir/myfile', true],
    ['**/file', 'dir/myfile', false],
    ['**/file', 'dir/dir/file', true],
    ['**/file*txt', 'dir/dir/file.txt', true],
    ['**/file*.txt*', 'dir/dir/file.txt', true],
    ['**/**/*.txt', 'dir/dir/file.txt', true],
    ['**/**/*.txt2', 'dir/dir/file.txt', false],
    ['**/*.txt', 'file.txt', true],
    ['a**/*.txt', 'a/file.txt', true],
    ['a**/*.txt', 'a/dir/dir/file.txt', true],
    ['a/*.txt', 'a/dir/file.txt', false],
    ['a/*.txt**', 'a/file.txt', true],
    ['a[b-d]e', 'ace', true],
    ['a[b-d]e', 'aae', false],
    ['a[^b-d]e', 'aze', true],
    ['.*', '.foo', true],
    ['.*', 'foo', false],
    ['abc.def', 'abcZdef', false],
    ['abc?def', 'abcZdef', true],
    ['a\\\\', 'a\\', true],
    ['a\\*b', 'a*b', true],
    ['**/foo/bar', 'dir/dir2/foo/bar', true],
    ['abc/**', 'abc', false],
    ['abc/**', 'abc/def/ghi', true],
    ['**/.foo', 'bar.foo', false],
    ['a(b)c/def', 'a(b)c/def', true],
    ['a.|)$(}+{bc', 'a.|)$(}+{bc', true],
    ['dist/*.whl', 'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl', true],
    ['/docs/', 'docs/README.md', true],
    ['./docs/../docs', 'docs', true],
    ['docs', 'x/docs', false],
    ['  docs  ', 'docs/a/b', true],
    ['*', '.', false],
    ['**', '', false],
  ])('%s on %s: %s', (pattern, path, ignored) => {
    expect(parseIgnore(pattern).ignores(path)).toBe(ignored);
  });

  test.each([
    ['docs\n!docs/README.md', 'docs/README.md', false],
    ['docs\n!docs/README.md', 'docs/other.md', true],
    ['docs/*\n!docs/README.md', 'docs/README.md', false],
    ['*.go\n!file.go', 'file.go', false],
    ['!file.go\n*.go', 'file.go', true],
    ['**\n!util/docker/web', 'util/docker/web/foo', false],
    ['**\n!util/docker/web\nutil/docker/web/foo', 'util/docker/web/foo', true],
    ['*\n! src', 'src/main.c', false],
    ['*\n!/src/', 'src/main.c', false],
    ['*\n!src/**/*.c', 'src/a/b.c', false],
    ['*\n!src/**/*.c', 'src/a/b.h', true],
    ['\uFEFFdocs', 'docs', true],
    ['# docs\n\n  # docs', '# docs', true],
    ['#docs', '#docs', false],
    ['docs\r\n*.o\r\n', 'x.o', true],
  ])('%j on %s: %s', (text, path, ignored) => {
    expect(parseIgnore(text).ignores(path)).toBe(ignored);
  });

  test.each([
    ['docs', 'docs', true],
    ['docs', 'src', false],
    ['docs\n!docs/README.md', 'docs', false],
    ['docs\n!src/README.md', 'docs', true],
    ['!docs/README.md\ndocs', 'docs', true],
    ['*\n!**/*.md', 'docs', false],
    ['*\n!a/b/c', 'a/b', false],
    ['*\n!a/b/c', 'a/x', true],
  ])('%j lets a walk leave out %s: %s', (text, directory, all) => {
    expect(parseIgnore(text).ignoresAllBelow(directory)).toBe(all);
  });

  test('a bad pattern is an error with its line', () => {
    expect(() => parseIgnore('a\n[', 'x.dockerignore')).toThrow(
      'x.dockerignore:2: the bracket in the pattern [ is not closed, or empty: [',
    );
    expect(() => parseIgnore('!')).toThrow('.dockerignore:1: an exception without a pattern: !');
  });

  test('hostile patterns take no exponential time', () => {
    const patterns = ['*a'.repeat(60), '**/a'.repeat(60), '**a*'.repeat(60), `${'a?'.repeat(60)}**`];
    const matcher = parseIgnore(patterns.map((pattern) => `${pattern}b`).join('\n'));
    const path = 'a'.repeat(1000) + '/a'.repeat(500);
    expect(matcher.ignores(path)).toBe(false);
  });

  test('patterns are told as they were understood', () => {
    expect(parseIgnore('# x\n/a/\n! ./b/../c').patterns).toEqual(['a', '!c']);
  });
});
