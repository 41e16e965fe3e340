import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isPlainPath, shellWord } from './dockerfile-words.ts';

const names = [
  'etc/motd',
  'a b',
  "it's",
  '$HOME "quoted" `id`',
  'back\\slash\\n',
  'two\nlines',
  'caf\xe9',
  '100% %s',
  '#x',
  '<<EOF',
  '-rf',
  '*?[a]',
  '~root',
  'a;b&c|d>e',
  '\\0101',
];

describe.each(['dash', 'bash', 'busybox sh'])('a word for a shell, %s,', (shell) => {
  it('is the name again', () => {
    const [program, ...words] = shell.split(' ') as [string, ...string[]];
    const script = `printf '%s\\0' ${names.map((name) => shellWord(name)).join(' ')}`;
    expect(script).not.toContain('\n');
    const printed = execFileSync(program, [...words, '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { LC_ALL: 'C', PATH: process.env['PATH'] },
    });
    expect(printed.toString('latin1').split('\0').slice(0, -1)).toEqual(names);
  });
});

it('a name that ends with a line is refused', () => {
  expect(() => shellWord('a\n')).toThrow('no Dockerfile can name a\\x0a');
});

it.each([
  ['etc/a-b_c.d+e@f', true],
  ['etc/a b', false],
  ['etc/$a', false],
  ['etc/[a]', false],
  ['caf\xe9', false],
])('%j needs no quotes: %s', (path, plain) => {
  expect(isPlainPath(path)).toBe(plain);
});
