import path from 'node:path';
import { $ } from 'zx';
import { makeManyFiles, manyFilesCases } from './many-files.ts';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';
import { bootOnce } from '../../test/support/kept-root.ts';

const RUNS = 5;
/** What a person waits for an answer. */
const TARGET_SECONDS = 3;

/**
 * How long it takes to check a top layer of 500 files against an image of many more, and to tell what was changed on a
 * system of that image.
 */
export async function measureTopLayer(): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const { type, driver } of manyFilesCases) {
    say(`a top layer and a changed system on ${type}`);
    await using many = await makeManyFiles(type);
    const on = `an image of 300,000 files on ${type} (${driver} driver)`;
    const target = TARGET_SECONDS;
    const [store, at] = [['--store', many.store], many.filesystem.mountPoint];
    await $`sh -euc 'mkdir -p $0/top/many/7 $0/boot; cd $0/top/many/7; for f in $(seq 500); do echo $f > $f; done' ${at}`;
    const check = async (): Promise<unknown> =>
      $`${imgboot} toplayer check ${store} --top-layer ${path.join(at, 'top')} ${many.image}`;
    comparisons.push({
      what: `toplayer check on ${on}`,
      ours: { value: await best(RUNS, check), unit: 's' },
      target,
    });
    await bootOnce(path.join(at, 'boot'), {
      filesystem: at,
      store: many.store,
      image: many.image,
      script: 'echo 1 > many/200/new; echo 2 > many/7/7; rm many/100/100',
    });
    const diff = async (): Promise<unknown> => $`${imgboot} deployment diff ${store} ${many.image}`;
    comparisons.push({
      what: `deployment diff on ${on}`,
      ours: { value: await best(RUNS, diff), unit: 's' },
      target,
    });
  }
  return comparisons;
}
