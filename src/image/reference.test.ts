import { describe, expect, it } from 'vitest';
import { encodeReference, lookupNames, parseReference, storedName } from './reference.ts';

const hex = 'a'.repeat(64);

describe('a reference', () => {
  it.each([
    ['desktop', { name: 'desktop', tag: undefined, digest: undefined }],
    ['debian:bookworm', { name: 'debian', tag: 'bookworm', digest: undefined }],
    [
      'registry.example:5000/team/a__b-c.d:1.0_x',
      { name: 'registry.example:5000/team/a__b-c.d', tag: '1.0_x', digest: undefined },
    ],
    ['localhost:5000/x', { name: 'localhost:5000/x', tag: undefined, digest: undefined }],
    [`x:1@sha256:${hex}`, { name: 'x', tag: '1', digest: `sha256:${hex}` }],
    [`x:${'t'.repeat(128)}`, { name: 'x', tag: 't'.repeat(128), digest: undefined }],
  ])('%s is understood', (text, parts) => {
    expect(parseReference(text)).toEqual(parts);
  });

  it.each([
    '',
    ':tag',
    'Upper',
    'a b',
    'a\n',
    'a:b:c/',
    'a:',
    'a//b',
    '/a',
    'a/',
    '../a',
    'a/../b',
    'a;reboot',
    '$(reboot)',
    '`reboot`',
    'a|b',
    'a&b',
    "a'b",
    'a"b',
    'a\\b',
    'a:b\nlayer=x',
    'a:-x',
    '-a',
    'é',
    `x@sha256:${'a'.repeat(63)}`,
    `x@md5:${hex}`,
    `x:${'t'.repeat(129)}`,
    `${'x'.repeat(256)}:1`,
  ])('%j is refused', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'IMGBOOT_BAD_REFERENCE' }));
  });

  it('without a tag is kept as latest', () => {
    expect(storedName('desktop')).toBe('desktop:latest');
  });

  it('with a digest names content, and nothing is kept under it', () => {
    expect(() => storedName(`x@sha256:${hex}`)).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_REFERENCE' }),
    );
  });

  it('is looked up as it is, then as docker and podman complete it', () => {
    expect(lookupNames(parseReference('debian'))).toEqual([
      'debian:latest',
      'docker.io/library/debian:latest',
      'localhost/debian:latest',
    ]);
  });

  it.each([
    ['debian:bookworm', 'debian%3Abookworm'],
    ['docker.io/library/x:1', 'docker.io%2Flibrary%2Fx%3A1'],
    ['a_b-c.d:1', 'a_b-c.d%3A1'],
  ])('%s becomes the file name %s', (reference, file) => {
    expect(encodeReference(reference)).toBe(file);
  });
});
