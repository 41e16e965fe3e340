import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { sample } from 'fast-check';
import { expect, it } from 'vitest';
import { examineOnRoot } from '../../src/top-layer/examine-image.ts';
import { showName } from '../../src/top-layer/show.ts';
import { applyByHook } from '../support/apply-top-layer.ts';
import { makeTree, randomPair } from '../support/random-top-layer.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const seed = Number(process.env['SEED'] ?? 8);
const COUNT = Number(process.env['COUNT'] ?? 150);

it('what is said of any top layer on any image is what the boot does', async () => {
  await using work = await TemporaryDirectory.create();
  const at = (...names: string[]): string => path.join(work.path, ...names);
  for (const name of ['image', 'top', 'refused']) mkdirSync(at(name));
  let refused = 0;
  for (const [index, { image, top }] of sample(randomPair, { seed, numRuns: COUNT }).entries()) {
    const name = `c${String(index).padStart(3, '0')}`;
    const make = (root: string): void => {
      makeTree(path.join(root, 'image', name), image, `/${name}`, 1000);
      makeTree(path.join(root, 'top', name), top, `/${name}`, 2000);
    };
    const alone = at('refused', name);
    mkdirSync(alone);
    make(alone);
    const place = { kind: 'directory', path: path.join(alone, 'top') } as const;
    const { findings } = await examineOnRoot({ place, root: path.join(alone, 'image') });
    if (!findings.some(({ code }) => code === 'stops-the-boot')) {
      make(work.path);
      continue;
    }
    refused += 1;
    if (refused > 10) continue;
    const applied = applyByHook({
      driver: 'plain',
      layers: path.join(alone, 'image'),
      chain: [],
      top: place.path,
    });
    await expect(applied).rejects.toMatchObject({ exitCode: 3 });
  }
  const place = { kind: 'directory', path: at('top') } as const;
  const { effects } = await examineOnRoot({ place, root: at('image') });
  const { changes } = await applyByHook({ driver: 'plain', layers: at('image'), chain: [], top: at('top') });
  const said = effects.flatMap(({ action, place: where }) =>
    ['same', 'skip'].includes(action) ? [] : `${action} ${showName(where)}`,
  );
  expect(said.length).toBeGreaterThan(COUNT);
  expect(changes).toEqual(said);
});
