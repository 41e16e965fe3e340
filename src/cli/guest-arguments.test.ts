import { describe, expect, it } from 'vitest';
import { guardGuestArguments, splitGuestArguments } from './guest-arguments.ts';

const flags = {
  env: { type: 'option', char: 'e' },
  volume: { type: 'option', char: 'v' },
  interactive: { type: 'boolean', char: 'i' },
  tty: { type: 'boolean', char: 't' },
  rm: { type: 'boolean' },
  name: { type: 'option' },
} as const;

describe('a command line splits at its first positional:', () => {
  it.each([
    ['-e A=1 IMAGE sort -u f', '-e A=1', 'IMAGE sort -u f'],
    ['-eA=1 IMAGE ls', '-eA=1', 'IMAGE ls'],
    ['--env=A=1 IMAGE', '--env=A=1', 'IMAGE'],
    ['--env A=1 --env B=2 IMAGE', '--env A=1 --env B=2', 'IMAGE'],
    ['IMAGE ls --help', '', 'IMAGE ls --help'],
    ['IMAGE --rm', '', 'IMAGE --rm'],
    ['-it --rm IMAGE sh', '-it --rm', 'IMAGE sh'],
    ['-itv /a:/b IMAGE', '-itv /a:/b', 'IMAGE'],
    ['-itv/a:/b IMAGE', '-itv/a:/b', 'IMAGE'],
    ['-ie A=1 IMAGE', '-ie A=1', 'IMAGE'],
    ['--name -x IMAGE', '--name -x', 'IMAGE'],
    ['-- IMAGE -x', '', 'IMAGE -x'],
    ['--rm -- IMAGE', '--rm', 'IMAGE'],
    ['IMAGE -- x', '', 'IMAGE -- x'],
    ['--unknown IMAGE', '--unknown', 'IMAGE'],
    ['--rm', '--rm', ''],
  ])('%s', (line, own, guest) => {
    const words = (text: string): string[] => text.split(' ').filter(Boolean);
    expect(splitGuestArguments(words(line), flags)).toEqual({ own: words(own), guest: words(guest) });
  });

  it('where others would read on, a -- stops them', () => {
    expect(guardGuestArguments(['--rm', 'IMAGE', 'ls', '--help'], flags)).toEqual([
      '--rm',
      '--',
      'IMAGE',
      'ls',
      '--help',
    ]);
    expect(guardGuestArguments(['--help'], flags)).toEqual(['--help']);
  });
});
