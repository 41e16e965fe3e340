import { expect, it } from 'vitest';
import type { InstalledPackage } from '../packages/package.ts';
import { comparePackages } from './package-changes.ts';

const packages = (text: string): InstalledPackage[] =>
  text.split(' ').map((word) => {
    const [name, version, architecture = 'all'] = word.split('/') as [string, string, string?];
    return { name, version, architecture, manager: 'rpm' };
  });

it.each([
  ['a/1', 'a/1', []],
  ['a/1', 'a/1 b/2', ['installed b 2 all']],
  ['a/1 b/2', 'b/2', ['removed a 1 all']],
  ['a/1', 'a/2', ['replaced a 2 all, was 1']],
  ['a/1/i386', 'a/1/i386 a/1/amd64', ['installed a 1 amd64']],
  ['kernel/1', 'kernel/1 kernel/2', ['installed kernel 2 all']],
  ['kernel/1 kernel/2', 'kernel/2 kernel/3', ['replaced kernel 3 all, was 1']],
  [
    'kernel/1 kernel/2',
    'kernel/3',
    ['removed kernel 1 all', 'removed kernel 2 all', 'installed kernel 3 all'],
  ],
])('from "%s" to "%s"', (before, after, changes) => {
  const told = comparePackages(packages(before), packages(after)).map(
    ({ kind, name, version, architecture, before: was }) =>
      `${kind} ${name} ${version} ${architecture}${was === undefined ? '' : `, was ${was}`}`,
  );
  expect(told).toEqual(changes);
});
