import { join } from 'node:path';
import {
  readLoaderFile,
  removeLoaderFile,
  withoutOurLines,
  writeLoaderFile,
  writeOurLines,
} from './loader-file.ts';
import type { LoaderPlan } from './plan.ts';
import { entryTemplate, fillTemplate } from './template.ts';

/** Makes imgboot.conf, which extlinux.conf includes, and then the default equal to the plan. */
export function publishExtlinux(root: string, plan: LoaderPlan): void {
  const directory = join(root, plan.machine.directory);
  const config = join(directory, 'imgboot.conf');
  const main = join(directory, 'extlinux.conf');
  if (plan.defaultId === undefined) {
    writeOurLines(main, []);
    removeLoaderFile(config);
    return;
  }
  // The last DEFAULT counts, and stands in the file with the entries: both change at once.
  writeLoaderFile(config, renderExtlinux(plan));
  writeOurLines(main, [...menuLines(readLoaderFile(main) ?? ''), 'INCLUDE imgboot.conf']);
}

/** All of imgboot.conf. Pure. */
export function renderExtlinux(plan: LoaderPlan): string {
  const template = entryTemplate('extlinux.conf');
  return [
    '# Written by imgboot, which overwrites it: `imgboot deployment ls` shows what it is made of.',
    `DEFAULT ${plan.defaultId}`,
    '',
    ...plan.entries.map(({ id, title, kernel, initrd, options }) =>
      fillTemplate(template, { id, title, kernel, initrd, options }),
    ),
  ].join('\n');
}

/** A menu that is there as `DEFAULT menu.c32` stays the menu. */
function menuLines(main: string): string[] {
  const others = withoutOurLines(main).split('\n');
  if (others.some((line) => /^\s*ui\s/i.test(line))) return [];
  const menu = others.map((line) => /^\s*default\s+(\S+\.c32)\s*$/i.exec(line)?.[1]).findLast(Boolean);
  return menu === undefined ? [] : [`UI ${menu}`];
}
