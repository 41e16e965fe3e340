import { describe, expect, it } from 'vitest';
import { lookupEngineNames, parseEngineName, storedEngineName, withoutEngine } from './engine-name.ts';

describe('the name of an image in another engine is', () => {
  it.each([
    ['docker://desktop', { engine: 'docker', reference: 'desktop', place: undefined }],
    [
      'docker://sha256:0123456789ab',
      { engine: 'docker', reference: 'sha256:0123456789ab', place: undefined },
    ],
    ['containers-storage:a/b:1', { engine: 'podman', reference: 'a/b:1', place: undefined }],
    [
      'containers-storage:[overlay@/srv/a b]x',
      { engine: 'podman', reference: 'x', place: { root: '/srv/a b', driver: 'overlay' } },
    ],
    [
      'containers-storage:[/srv+/run/x]x:1',
      { engine: 'podman', reference: 'x:1', place: { root: '/srv', driver: undefined } },
    ],
  ])('%s', (text, expected) => {
    expect(parseEngineName(text)).toEqual(expected);
  });

  it.each(['desktop', 'localhost:5000/docker', 'docker-daemon:x', 'oci:x'])('not %s', (text) => {
    expect(parseEngineName(text)).toBeUndefined();
    expect(withoutEngine(text)).toBe(text);
  });

  it.each([
    'docker://',
    'docker://A',
    'docker://a b',
    'docker://../x',
    'containers-storage:[/a\nb]x',
    'docker:///x',
  ])('nothing like %j', (text) => {
    expect(() => parseEngineName(text)).toThrow('not an image reference');
  });
});

it.each([
  ['docker://desktop', 'docker://desktop:latest'],
  ['docker://docker.io/library/desktop:1', 'docker://desktop:1'],
  ['containers-storage:desktop', 'containers-storage:localhost/desktop:latest'],
  ['containers-storage:[/srv]desktop', 'containers-storage:[/srv]localhost/desktop:latest'],
])('%s is found as %s', (asked, stored) => {
  const names = lookupEngineNames(parseEngineName(asked)!);
  expect(names).toContain(stored);
  expect(storedEngineName(parseEngineName(stored)!)).toBe(stored);
});
