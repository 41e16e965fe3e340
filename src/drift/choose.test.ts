import { describe, expect, it } from 'vitest';
import { chooseChanges, wantedPaths, type Wish } from './choose.ts';
import type { Drift } from './diff-root.ts';
import { markIgnored, type FoundChange } from './drift.ts';

const change = (path: string, more: Partial<FoundChange> = {}): FoundChange => ({
  kind: 'changed',
  path,
  type: 'file',
  differs: ['content'],
  ...more,
});

const packages: Drift['packages'] = [
  {
    kind: 'added',
    name: 'tool',
    from: null,
    to: '1',
    architecture: 'all',
    manager: 'dpkg',
    automatic: false,
  },
];
const found = [
  change('etc', { type: 'directory', differs: ['mode'] }),
  change('etc/machine-id'),
  change('etc/motd'),
  change('etc/motd.d/a', { kind: 'added' }),
  change('etc/touched', { differs: ['time'] }),
  change('opt/caf\xe9', { kind: 'added' }),
  change('usr/bin/tool', { kind: 'added' }),
  change('var/lib/dpkg/status'),
  change('var/log/a'),
];
const drift = {
  root: { name: 'desktop/1' },
  packages,
  changes: markIgnored(found, { packages, owners: new Map([['usr/bin/tool', 0]]) }),
} as unknown as Drift;

const choose = (wish: Partial<Wish>): string[] =>
  chooseChanges(drift, { paths: [], packages: [], all: false, ...wish }).map(({ path }) => path);

describe('what is chosen of changes', () => {
  it.each<[string, Partial<Wish>, string[]]>([
    ['a file', { paths: ['/etc/motd'] }, ['etc/motd']],
    ['a directory, with what changed in it', { paths: ['/etc/'] }, ['etc', 'etc/motd', 'etc/motd.d/a']],
    ['a directory that did not change itself', { paths: ['/etc/motd.d'] }, ['etc/motd.d/a']],
    [
      'what every boot changes, by its name',
      { paths: ['/etc/machine-id', '/etc/touched'] },
      ['etc/machine-id', 'etc/touched'],
    ],
    ['all of a directory that every boot changes', { paths: ['/var/log'] }, ['var/log/a']],
    ['a name that is no text, as it is shown', { paths: ['/opt/caf\\xe9'] }, ['opt/caf\xe9']],
    ['a path that is written in another way', { paths: ['//opt/../etc/./motd'] }, ['etc/motd']],
    ['a package', { packages: ['tool'] }, ['usr/bin/tool']],
    [
      'all that is told',
      { all: true },
      ['etc', 'etc/motd', 'etc/motd.d/a', 'opt/caf\xe9', 'usr/bin/tool', 'var/lib/dpkg/status'],
    ],
    [
      'the whole root',
      { paths: ['/'] },
      ['etc', 'etc/motd', 'etc/motd.d/a', 'opt/caf\xe9', 'usr/bin/tool', 'var/lib/dpkg/status'],
    ],
  ])('%s', (_, wish, paths) => {
    expect(choose(wish)).toEqual(paths);
  });

  it.each<[string, Partial<Wish>, string]>([
    [
      'a path at which nothing was changed',
      { paths: ['/etc/motd', '/etc/mot'] },
      '/etc/mot was not changed on desktop/1',
    ],
    ['a package that was there', { packages: ['base'] }, 'the package "base" was not changed on desktop/1'],
  ])('is not %s', (_, wish, message) => {
    expect(() => choose(wish)).toThrow(message);
  });

  it('is no relative path', () => {
    expect(() => wantedPaths({ paths: ['etc/motd'] })).toThrow('"etc/motd" is no absolute path');
  });
});
