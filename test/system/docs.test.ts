import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { repository } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

interface Manifest {
  commands: Record<string, { flags: Record<string, { name: string; char?: string }> }>;
}

/** Flags that every command has. */
const common = new Set(['--help', '--version']);

describe('the documentation', () => {
  it('has the man page that the commands make', async () => {
    await using directory = await TemporaryDirectory.create();
    const fresh = path.join(directory.path, 'imgboot.1');
    await execa(process.execPath, [path.join(repository, 'docs/make-man.ts'), fresh]);
    expect(await readFile(path.join(repository, 'docs/man/imgboot.1'), 'utf8')).toBe(
      await readFile(fresh, 'utf8'),
    );
  });

  it('names only commands and flags that there are', async () => {
    const manifest = JSON.parse(
      await readFile(path.join(repository, 'oclif.manifest.json'), 'utf8'),
    ) as Manifest;
    const calls = (await documents()).flatMap(({ name, text }) =>
      callsIn(text).map((words) => ({ name, words })),
    );
    expect(calls.length).toBeGreaterThanOrEqual(8);
    const wrong = calls.flatMap(({ name, words }) => {
      // A topic's commands have two words.
      const command = manifest.commands[words.slice(0, 2).join(':')] ?? manifest.commands[words[0]!];
      if (command === undefined) return [`${name}: imgboot ${words.join(' ')}: no such command`];
      const known = new Set(
        Object.values(command.flags).flatMap((flag) => [`--${flag.name}`, `-${flag.char}`]),
      );
      const unknown = words
        .slice(1)
        .filter(
          (word) =>
            word.startsWith('-') && word !== '-' && !known.has(word.split('=')[0]!) && !common.has(word),
        );
      return unknown.map((flag) => `${name}: imgboot ${words.join(' ')}: no flag ${flag}`);
    });
    expect(wrong).toEqual([]);
  });
});

async function documents(): Promise<{ name: string; text: string }[]> {
  const names = [
    'README.md',
    ...(await readdir(path.join(repository, 'docs')))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];
  // The architecture speaks of what is planned, too.
  const current = names.filter((name) => name !== 'docs/architecture.md');
  return Promise.all(
    current.map(async (name) => ({ name, text: await readFile(path.join(repository, name), 'utf8') })),
  );
}

/** The words after `imgboot` in code blocks. */
function callsIn(text: string): string[][] {
  const blocks = [...text.matchAll(/```sh\n([^]*?)```/g)].map((match) => match[1]!);
  const indented = text.split('\n').filter((line) => line.startsWith('    '));
  return [...blocks.join('\n').split('\n'), ...indented]
    .map((line) => line.replace(/ #.*$/, ''))
    .flatMap((line) => line.split('|'))
    .flatMap((line) => /(?:^|\s|\/)imgboot ([a-z].*)$/.exec(line.trim())?.[1] ?? [])
    .map((words) => words.trim().split(/\s+/));
}
