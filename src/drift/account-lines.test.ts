import { describe, expect, it } from 'vitest';
import { compareAccounts, isAccountFile } from './account-lines.ts';
import {
  accountLines,
  canSayAccounts,
  withoutSystemAccounts,
  type AccountsToSay,
} from './dockerfile-accounts.ts';

it.each([
  ['etc/passwd', true],
  ['etc/subgid', true],
  ['etc/passwd-', false],
  ['usr/etc/passwd', false],
])('%s is a file of accounts: %s', (path, is) => {
  expect(isAccountFile(path)).toBe(is);
});

const account = (name: string, before: string, after: string): AccountsToSay => ({
  name,
  ...compareAccounts(before.replaceAll(' ', '\n'), after.replaceAll(' ', '\n')),
});

describe('what was changed of accounts', () => {
  it.each([
    ['a:1 b:2', 'a:1 b:2', [], [], []],
    ['a:1 b:2', 'b:2 a:1', [], [], []],
    ['a:1', 'a:2 b:1', ['a:2', 'b:1'], ['b'], []],
    ['a:1 b:1', '#b:1 a:1', [], [], ['b']],
    ['a:1:5 a:2:5', 'a:1:5 a:3:5', ['a:1:5', 'a:3:5'], [], []],
  ])('from "%s" to "%s"', (before, after, lines, added, removed) => {
    const change = account('subuid', before, after);
    expect({ ...change, lines: [...change.lines.values()].flat() }).toEqual({
      name: 'subuid',
      lines,
      added,
      removed,
    });
  });

  it('is said in a Dockerfile by names, and its lines are in the context only', () => {
    const change = account('passwd', 'root:x:0 gone:x:7 j.doe$:x:1', 'root:x:0 j.doe$:x:2 new:x:3');
    const { lines, files } = accountLines([change, account('group', 'a:1', 'a:1')], 'adopted');
    expect(lines).toEqual([
      `RUN --mount=type=bind,source=adopted/accounts,target=/run/imgboot-accounts \\
    sed -i -e '/^j\\.doe\\$:/d' -e '/^new:/d' -e '/^gone:/d' /etc/passwd \\
 && cat /run/imgboot-accounts/passwd >> /etc/passwd`,
    ]);
    expect(files.map(({ entry, content }) => [entry.path, entry.mode, content!.toString()])).toEqual([
      ['accounts/passwd', 0o600, 'j.doe$:x:2\nnew:x:3\n'],
    ]);
  });

  it('is not said by names that mean something to sed or to a shell', () => {
    expect(canSayAccounts(account('passwd', '', 'a-b:x'))).toBe(true);
    expect(canSayAccounts(account('passwd', '', "a'b:x"))).toBe(false);
    expect(canSayAccounts(account('passwd', 'a/b:x', ''))).toBe(false);
  });

  it('leaves new accounts of the system to the packages that make them', () => {
    const left = withoutSystemAccounts([
      account('passwd', 'root:x:0', 'root:x:0 _tool:x:101 me:x:1001'),
      account('shadow', 'root:*', 'root:* _tool:! me:!'),
      account('group', 'users:x:100', 'users:x:100:me _tool:x:101 mine:x:1002'),
      account('gshadow', '', '_tool:! mine:!'),
    ]);
    expect(left.map(({ lines }) => [...lines.keys()])).toEqual([['me'], ['me'], ['users', 'mine'], ['mine']]);
  });
});
