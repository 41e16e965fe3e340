import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { splitKernelWords, unquoteKernelWord } from './kernel-words.ts';
import { readLoaderFile, removeLoaderFile, writeLoaderFile, writeOurLines } from './loader-file.ts';
import type { Machine } from './machine.ts';
import type { BootEntry, LoaderPlan } from './plan.ts';
import { entryTemplate, fillTemplate } from './template.ts';

/** GRUB's environment block. @see GRUB's grub/lib/envblk.h */
const ENVIRONMENT_SIGNATURE = '# GRUB Environment Block\n';
const ENVIRONMENT_BYTES = 1024;
/** Where GRUB can write into a file that is there. */
const writableFilesystems = new Set(['vfat', 'ext2', 'ext3', 'ext4']);

/** Sources our menu where a distribution's grub.cfg ends: Debian's 41_custom looks for custom.cfg in either place. */
const sourceLines = [
  'if [ -f "${config_directory}/imgboot.cfg" ]; then',
  '  source "${config_directory}/imgboot.cfg"',
  'elif [ -f "${prefix}/imgboot.cfg" ]; then',
  '  source "${prefix}/imgboot.cfg"',
  'fi',
];

/**
 * Makes imgboot.cfg equal to the plan: one file, so entries and default change at once. A system's GRUB sources it from
 * custom.cfg.
 */
export function publishGrub(root: string, plan: LoaderPlan): void {
  const directory = join(root, plan.machine.directory);
  const config = join(directory, 'imgboot.cfg');
  const environment = join(directory, 'imgboot.env');
  const isSystems = plan.machine.owner === 'system';
  if (plan.defaultId === undefined) {
    if (isSystems) writeOurLines(join(directory, 'custom.cfg'), []);
    for (const file of [config, environment]) removeLoaderFile(file);
    return;
  }
  settleEnvironment(environment, plan);
  writeLoaderFile(config, renderGrub(plan));
  if (isSystems) writeOurLines(join(directory, 'custom.cfg'), sourceLines);
}

/** All of imgboot.cfg. Pure. @throws IMGBOOT_UNSUPPORTED_ROOT */
export function renderGrub(plan: LoaderPlan): string {
  const template = entryTemplate('grub.cfg');
  const entries = plan.entries.map((entry) => {
    const counts = countedVersion(plan) !== undefined && entry.id === plan.defaultId;
    return renderEntry(template, { entry, machine: plan.machine, count: counts ? countLines(plan) : '' });
  });
  return [
    '# Written by imgboot, which overwrites it: `imgboot deployment ls` shows what it is made of.',
    ...defaultLines(plan),
    '',
    ...entries,
  ].join('\n');
}

function renderEntry(
  template: string,
  { entry, machine, count }: { entry: BootEntry; machine: Machine; count: string },
): string {
  return fillTemplate(template, {
    title: quote(entry.title),
    id: quote(entry.id),
    count,
    search: searchWords(machine),
    kernel: quote(entry.kernel),
    initrd: quote(entry.initrd),
    // GRUB puts quotes around a word with blanks by itself.
    options: splitKernelWords(entry.options).map(unquoteKernelWord).map(quote).join(' '),
  });
}

/** `boot_once` is a choice that `grub-reboot` has made for one boot. */
function defaultLines(plan: LoaderPlan): string[] {
  const counted = countedVersion(plan);
  const fallback = plan.fallbackId;
  return [
    `set imgboot_default=${quote(plan.defaultId!)}`,
    ...(fallback === undefined ? [] : [`set fallback=${quote(fallback)}`]),
    ...(counted === undefined || fallback === undefined
      ? []
      : [
          `search --no-floppy --set=imgboot_device ${searchWords(plan.machine)}`,
          `load_env -f ${environmentPath(plan)} imgboot_trying imgboot_tries`,
          `if [ "$imgboot_trying" = ${quote(counted)} -a "$imgboot_tries" = "0" ]; then`,
          `  set imgboot_default=${quote(fallback)}`,
          'fi',
        ]),
    'if [ "$boot_once" != "true" ]; then',
    '  set default="$imgboot_default"',
    'fi',
  ];
}

/** GRUB's language has no arithmetic. */
function countLines(plan: LoaderPlan): string {
  const tries = triesOf(plan);
  const steps = Array.from({ length: tries }, (_, index) => tries - index);
  if (plan.fallbackId === undefined) return '';
  return [
    `if [ "$imgboot_trying" = ${quote(countedVersion(plan)!)} ]; then`,
    ...steps.flatMap((left, index) => [
      `  ${index === 0 ? 'if' : 'elif'} [ "$imgboot_tries" = "${left}" ]; then`,
      `    set imgboot_tries=${left - 1}`,
    ]),
    '  fi',
    `  save_env -f ${environmentPath(plan)} imgboot_trying imgboot_tries`,
    'fi',
  ].join('\n');
}

/** `desktop/3`, while it is counted and GRUB can. */
function countedVersion(plan: LoaderPlan): string | undefined {
  const { boot } = plan.machine;
  const filesystem = boot === null ? rootWord(plan.machine, 'rootfstype') : boot.fstype;
  if (plan.counting === 'no' || !writableFilesystems.has(filesystem ?? '')) return undefined;
  return /^imgboot-(.+)-([0-9]+)$/
    .exec(plan.defaultId ?? '')
    ?.slice(1)
    .join('/');
}

/** The count goes on where it is, unless it is another version's or is to start anew. */
function settleEnvironment(path: string, plan: LoaderPlan): void {
  const counted = countedVersion(plan);
  if (counted === undefined) return;
  const goesOn =
    plan.counting === 'continue' && readLoaderFile(path)?.includes(`\nimgboot_trying=${counted}\n`);
  if (goesOn === true) return;
  const text = `${ENVIRONMENT_SIGNATURE}imgboot_trying=${counted}\nimgboot_tries=${triesOf(plan)}\n`;
  writeLoaderFile(path, text.padEnd(ENVIRONMENT_BYTES, '#'));
}

function triesOf(plan: LoaderPlan): number {
  return plan.entries.find(({ id }) => id === plan.defaultId)?.tries ?? 0;
}

function environmentPath({ machine }: LoaderPlan): string {
  return `"($imgboot_device)${machine.directory}/imgboot.env"`;
}

/** How GRUB finds the file system with its files. */
function searchWords(machine: Machine): string {
  const root = rootWord(machine, 'root') ?? '';
  const uuid = machine.boot?.uuid ?? /^UUID=(.+)$/.exec(root)?.[1];
  if (uuid !== undefined) return `--fs-uuid ${quote(uuid)}`;
  const label = /^LABEL=(.+)$/.exec(root)?.[1];
  if (label !== undefined) return `--label ${quote(label)}`;
  throw new ImgbootError('IMGBOOT_UNSUPPORTED_ROOT', `GRUB cannot find a file system by root=${root}`, {
    hint: 'name it by UUID= or LABEL=',
  });
}

function rootWord({ root }: Machine, key: string): string | undefined {
  return root.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
}

/** Between single quotes, GRUB's language leaves everything as it is. Callers have refused what has one itself. */
function quote(text: string): string {
  return `'${text.replaceAll("'", '')}'`;
}
