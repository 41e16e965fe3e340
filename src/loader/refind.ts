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

/** Makes imgboot.conf equal to the plan: one file, so entries and default change at once; refind.conf includes it. */
export function publishRefind(root: string, plan: LoaderPlan): void {
  const directory = join(root, plan.machine.directory);
  const config = join(directory, 'imgboot.conf');
  const main = join(directory, 'refind.conf');
  if (plan.defaultId === undefined) {
    writeOurLines(main, []);
    removeLoaderFile(config);
    return;
  }
  writeLoaderFile(config, renderRefind(plan));
  writeOurLines(main, [...scanLines(readLoaderFile(main) ?? ''), 'include imgboot.conf']);
}

/** All of imgboot.conf. Pure. */
export function renderRefind(plan: LoaderPlan): string {
  const template = entryTemplate('refind.conf');
  const title = plan.entries.find(({ id }) => id === plan.defaultId)!.title;
  return [
    '# Written by imgboot, which overwrites it: `imgboot deployment ls` shows what it is made of.',
    // rEFInd looks for this anywhere in the titles.
    `default_selection ${quote(/\([^()]*\)$/.exec(title)?.[0] ?? title)}`,
    '',
    ...plan.entries.map((entry) =>
      fillTemplate(template, {
        title: quote(entry.title),
        kernel: quote(backslashes(entry.kernel)),
        initrd: quote(backslashes(entry.initrd)),
        options: quote(entry.options),
      }),
    ),
  ].join('\n');
}

/** Stanzas are shown where `scanfor` has `manual`, as it does by default: a list without it gets it. */
function scanLines(main: string): string[] {
  const list = withoutOurLines(main)
    .split('\n')
    .map((line) => /^\s*scanfor[\s=]+(.*)$/.exec(line)?.[1]?.replace(/#.*/, '').trim())
    .findLast((found) => found !== undefined);
  if (list === undefined || list.split(/[\s,]+/).some((word) => /^(?:manual|m)$/i.test(word))) return [];
  return [`scanfor ${[...list.split(/[\s,]+/), 'manual'].join(',')}`];
}

/** Between quotes, rEFInd leaves slashes as they are, and firmware knows only these. */
function backslashes(path: string): string {
  return path.replaceAll('/', '\\');
}

/** Inside quotes, two are one. */
function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
