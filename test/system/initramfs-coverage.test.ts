import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { globExpression } from '../../src/initramfs/glob.ts';
import { bookwormTar, genericTar, trixieTar } from '../support/fixtures.ts';
import { repository } from '../support/paths.ts';
import { runCliOk } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** The modules of initramfs-tools' MODULES=most, which each fixture's own kernel package made, held against ours. */
describe('the universal set', () => {
  let work: TemporaryDirectory;
  let excuses: { expression: RegExp; pattern: string }[];

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    const manual = await readFile(path.join(repository, 'docs/mkinitramfs.md'), 'utf8');
    const rows = manual.split('## What universal leaves out')[1]!.split('\n');
    excuses = rows
      .filter((row) => row.startsWith('| `'))
      .flatMap((row) => [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)])
      .map(([, pattern]) => ({ pattern: pattern!, expression: globExpression(pattern!) }));
  });
  afterAll(async () => await work[Symbol.asyncDispose]());

  it.each([
    ['the cloud kernel of Debian 12', bookwormTar, 180],
    ['the cloud kernel of Debian 13', trixieTar, 160],
    ['the generic kernel of Debian 12', genericTar, 700],
  ])('has what most has of %s, or the manual says why not', async (title, tar, leastCount) => {
    const root = path.join(work.path, title.replaceAll(' ', '-'));
    await mkdir(root);
    await execa('tar', ['-xf', await tar(), '-C', root]);
    const [kver] = await readdir(path.join(root, 'usr/lib/modules'));
    const image = `${root}.img`;
    await runCliOk(['mkinitramfs', '--root', root, '--compress', 'zstd:1', '-o', image]);
    const ours = await modulesIn(image);
    const theirs = await modulesIn(path.join(root, 'boot', `initrd.img-${kver}`));
    expect(excuses.length).toBeGreaterThan(20);
    expect(theirs.size).toBeGreaterThan(leastCount);
    // Theirs may be in the image though this kernel has no such file, as after an update.
    const missing = [...theirs].filter((module) => !ours.has(module)).sort();
    const unexplained = missing.filter(
      (module) => !excuses.some(({ expression }) => expression.test(module)),
    );
    process.stderr.write(
      `${kver}: ours ${ours.size}, most ${theirs.size}; left out:\n${missing.map((module) => `  ${module}\n`).join('')}`,
    );
    expect(unexplained).toEqual([]);
  });
});

/** Paths below the kernel's directory, without what says how the file is packed. */
async function modulesIn(image: string): Promise<Set<string>> {
  const listing = await runCliOk(['lsinitramfs', image]);
  const paths = listing.matchAll(/lib\/modules\/[^/]+\/(\S+)\.ko(?:\.\w+)?$/gm);
  return new Set([...paths].map((match) => match[1]!));
}
