import { describe, expect, it } from 'vitest';
import { comparePackages } from './compare-packages.ts';
import type { InstalledPackage } from './package.ts';

/** `name version architecture`, with commas between. */
function installed(text: string): InstalledPackage[] {
  return text
    .split(', ')
    .filter(Boolean)
    .map((one) => {
      const [name, version, architecture = 'amd64'] = one.split(' ') as [string, string, string?];
      return { name, version, architecture, manager: 'dpkg' };
    });
}

describe('two sets of packages', () => {
  it.each([
    ['a 1', 'a 1', []],
    ['a 1', 'a 2', ['upgraded a amd64 1 2']],
    ['a 2', 'a 1', ['downgraded a amd64 2 1']],
    ['a 1.0', 'a 1.00', ['changed a amd64 1.0 1.00']],
    ['', 'a 1', ['added a amd64 null 1']],
    ['a 1', '', ['removed a amd64 1 null']],
    ['a 1 all', 'a 2 amd64', ['upgraded a amd64 1 2']],
    ['a 1 all', 'a 1 amd64', ['changed a amd64 1 1']],
    ['a 1 amd64, a 1 i386', 'a 2 amd64, a 2 i386', ['upgraded a amd64 1 2', 'upgraded a i386 1 2']],
    ['a 1 amd64', 'a 1 amd64, a 1 i386', ['added a i386 null 1']],
    ['k 1', 'k 1, k 2', ['added k amd64 null 2']],
    ['k 1, k 2', 'k 2, k 3', ['upgraded k amd64 1 3']],
    ['k 1, k 2', 'k 3', ['removed k amd64 1 null', 'removed k amd64 2 null', 'added k amd64 null 3']],
    [
      'k 1, k 2',
      'k 3, k 4',
      ['removed k amd64 1 null', 'removed k amd64 2 null', 'added k amd64 null 3', 'added k amd64 null 4'],
    ],
    ['b 1, a 1', 'c 1, a 2', ['upgraded a amd64 1 2', 'removed b amd64 1 null', 'added c amd64 null 1']],
  ])('%j and %j: %j', (before, after, expected) => {
    const changes = comparePackages(installed(before), installed(after));
    expect(
      changes.map(
        ({ kind, name, architecture, from, to }) => `${kind} ${name} ${architecture} ${from} ${to}`,
      ),
    ).toEqual(expected);
  });
});
