import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeLoaderFile, writeLoaderFile, writeOurLines } from './loader-file.ts';
import type { BootEntry, LoaderPlan } from './plan.ts';
import { entryTemplate, fillTemplate } from './template.ts';

/** Versions come before the choices. */
const sortKeys = { version: 'imgboot', choice: 'imgboot-choice' } as const;
/** Our entries' names, with systemd-boot's own counter (`+2-1`) where there is one. */
const OURS = /^(imgboot-.+-[0-9]+(?:-[a-z]+)?)(?:\+[0-9]+(?:-[0-9]+)?)?\.conf$/;

/**
 * Makes entries and loader.conf's `default` equal to the plan. Entries that are new come before the default, and those
 * that are gone after. A counter that systemd-boot has changed stays, until the version is good.
 * @param esp the top of the file system with loader.conf
 * @see Boot Loader Specification, and Automatic Boot Assessment
 */
export function publishSystemdBoot(root: string, plan: LoaderPlan, esp: string): void {
  const directory = join(root, plan.machine.directory);
  const entries = join(directory, 'entries');
  if (plan.entries.length > 0) mkdirSync(entries, { recursive: true });
  const template = entryTemplate('systemd-boot.conf');
  for (const entry of plan.entries) {
    const restarts = plan.counting === 'restart' && entry.id === plan.defaultId;
    const known = ourEntries(entries).filter(({ id }) => id === entry.id);
    const name = nameOf(entry, { known, restarts });
    writeLoaderFile(join(entries, name), renderSystemdBootEntry(template, entry));
    // Another counter, or what a power cut left. Not renamed: a power cut might leave neither name.
    for (const { file } of known) if (file !== name) removeLoaderFile(join(entries, file));
  }
  writeOurLines(join(esp, plan.machine.directory, 'loader.conf'), defaultLines(plan));
  const wanted = new Set(plan.entries.map(({ id }) => id));
  for (const { file, id } of ourEntries(entries)) if (!wanted.has(id)) removeLoaderFile(join(entries, file));
}

/** Pure. */
export function renderSystemdBootEntry(template: string, entry: BootEntry): string {
  return fillTemplate(template, {
    title: entry.title,
    version: entry.order,
    sortKey: sortKeys[entry.kind],
    kernel: entry.kernel,
    initrd: entry.initrd,
    options: entry.options,
  });
}

/**
 * A pattern takes the first entry that it matches, also one that has used up its tries. These sort last, and versions
 * newest first: while a default is counted that is the newest, the pattern of all versions means it, and then the best
 * that there is.
 */
function defaultLines({ defaultId, counting, entries }: LoaderPlan): string[] {
  if (defaultId === undefined) return [];
  const orders = entries.filter(({ kind }) => kind === 'version').map(({ order }) => Number(order));
  const isNewest = Number(entries.find(({ id }) => id === defaultId)?.order) === Math.max(...orders);
  return [`default ${counting !== 'no' && isNewest ? 'imgboot-*[0-9].conf' : `${defaultId}[.+]*conf`}`];
}

/** The file name of an entry: one that it has, where that has the counter that it should have. */
function nameOf(
  { id, tries }: BootEntry,
  { known, restarts }: { known: readonly { file: string }[]; restarts: boolean },
): string {
  if (tries === undefined) return `${id}.conf`;
  return (restarts ? undefined : known[0]?.file) ?? `${id}+${tries}.conf`;
}

function ourEntries(entries: string): { file: string; id: string }[] {
  let files: string[];
  try {
    files = readdirSync(entries);
  } catch {
    // Nothing is there yet.
    return [];
  }
  return files.flatMap((file) => {
    const match = OURS.exec(file);
    return match === null ? [] : [{ file, id: match[1]! }];
  });
}
