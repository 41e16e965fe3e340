import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeAccounts } from './account-files.ts';

const library = fileURLToPath(new URL('../../hooks/lib/toplayer.sh', import.meta.url));

/** What the boot makes of pairs of files: its own shell. */
function byTheBoot(pairs: readonly (readonly [image: string, machine: string])[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'imgboot-accounts-'));
  try {
    for (const [index, [image, machine]] of pairs.entries()) {
      writeFileSync(join(directory, `${index}.image`), image);
      writeFileSync(join(directory, `${index}.machine`), machine);
    }
    const script = `. "$1"; i=0; while [ "$i" -lt "$2" ]; do
      imgboot_merge_accounts "$3/$i.image" "$3/$i.machine"; printf 'END\\n'; i=$((i + 1)); done`;
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-euc', script, 'sh', library, String(pairs.length), directory],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    return stdout.split('END\n').slice(0, -1);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it.each([
  ["a name that both have is the machine's", 'a:1\nb:1\n', 'b:2\n', 'a:1\nb:2\n'],
  ['a name that only the machine has comes last', 'a:1\n', 'c:3\n', 'a:1\nc:3\n'],
  ['a name may have several lines', 'a:1\na:2\nb:1\n', 'a:5\na:6\na:7\n', 'a:5\na:6\na:7\nb:1\n'],
  ['comments stay', '# image\na:1\n', '# machine\na:2\n', '# image\na:2\n# machine\n'],
  ["blank lines are the image's", '\na:1\n\n', '\nb:1\n\n', '\na:1\n\nb:1\n'],
  ['the last line needs no end', 'a:1', 'b:1', 'a:1\nb:1\n'],
  ["an image without accounts has the machine's", '', 'a:1\n', 'a:1\n'],
])('%s', (_, image, machine, merged) => {
  expect(mergeAccounts(image, machine)).toBe(merged);
});

it('accounts are merged as the boot merges them', () => {
  const name = fc.constantFrom('a', 'ab', 'b', '#c', '', ',d', '*', '[a]', '$x', '-n', '\\');
  const rest = fc.constantFrom('', ':', ':x:1', ': y', ':z\\n', ':*');
  const line = fc.tuple(name, rest).map(([one, other]) => `${one}${other}`);
  const file = fc
    .tuple(fc.array(line, { maxLength: 6 }), fc.boolean())
    .map(([lines, ended]) => lines.join('\n') + (ended && lines.length > 0 ? '\n' : ''));
  const pairs = fc.sample(fc.tuple(file, file), { numRuns: 200, seed: 8 });
  expect(pairs.map(([image, machine]) => mergeAccounts(image, machine))).toEqual(byTheBoot(pairs));
});
