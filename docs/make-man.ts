// Writes docs/man/imgboot.1, or the file named, from the commands' own summaries and flags: npm run docs
import { readFileSync, writeFileSync } from 'node:fs';

interface Flag {
  name: string;
  char?: string;
  summary?: string;
  default?: unknown;
  options?: string[];
  helpValue?: string;
  type: 'boolean' | 'option';
  env?: string;
}

interface Command {
  id: string;
  summary: string;
  description?: string;
  examples?: string[];
  args: Record<string, { name: string; required?: boolean; description?: string }>;
  flags: Record<string, Flag>;
}

const repository = new URL('..', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('oclif.manifest.json', repository), 'utf8')) as {
  version: string;
  commands: Record<string, Command>;
};

const page = [
  `.TH IMGBOOT 1 "" "imgboot ${manifest.version}" "User Commands"`,
  '.SH NAME',
  'imgboot \\- boot machines from container images',
  '.SH SYNOPSIS',
  '.B imgboot',
  '.I COMMAND',
  '[options]',
  '.SH DESCRIPTION',
  'imgboot keeps container images in a store, makes the initramfs that boots them, and boots them in QEMU or on this machine. Results go to standard output, everything else to standard error.',
  '.SH COMMANDS',
  ...Object.values(manifest.commands)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .flatMap(section),
  '.SH EXIT STATUS',
  ...pairs([
    ['0', 'success'],
    ['1', 'the operation failed; standard error says what, on what, why, and what to do'],
    ['2', 'wrong usage'],
    ['130', 'stopped by a signal, after cleaning up'],
  ]),
  '.SH ENVIRONMENT',
  ...pairs([
    ['IMGBOOT_STORE', 'where the images are kept, as --store'],
    ['IMGBOOT_DEBUG', 'when set, errors come with a stack trace'],
    ['SOURCE_DATE_EPOCH', 'the moment that goes into what is made, for reproducible results'],
    ['TMPDIR', 'where temporary files go'],
  ]),
  '.SH FILES',
  ...pairs([
    ['/var/lib/imgboot', 'the store'],
    ['/run/imgboot/boot.json', 'the boot report of the running system'],
  ]),
  '.SH SEE ALSO',
  '.BR skopeo (1),',
  '.BR containers-transports (5),',
  '.BR dracut.cmdline (7),',
  '.BR mmdebstrap (1)',
];

writeFileSync(process.argv[2] ?? new URL('docs/man/imgboot.1', repository), `${page.join('\n')}\n`);

function section(command: Command): string[] {
  const args = Object.values(command.args).map((arg) =>
    (arg.required ? arg.name : `[${arg.name}]`).toUpperCase(),
  );
  return [
    `.SS imgboot ${[command.id, ...args].join(' ')}`,
    `${text(command.summary)}.`,
    ...(command.description === undefined ? [] : [text(command.description)]),
    ...pairs(Object.values(command.flags).map((flag) => [flagHead(flag), flagWords(flag)])),
    ...(command.examples ?? []).flatMap((example) => [
      '.PP',
      '.EX',
      text(example.replaceAll('<%= config.bin %>', 'imgboot').replaceAll('<%= command.id %>', command.id)),
      '.EE',
    ]),
  ];
}

function flagHead(flag: Flag): string {
  const names = [...(flag.char === undefined ? [] : [`-${flag.char}`]), `--${flag.name}`].join(', ');
  return flag.type === 'boolean'
    ? names
    : `${names} ${flag.helpValue ?? flag.options?.join('|') ?? flag.name.toUpperCase()}`;
}

function flagWords(flag: Flag): string {
  const standard =
    flag.default === undefined ||
    flag.default === false ||
    (Array.isArray(flag.default) && flag.default.length === 0);
  return `${flag.summary ?? ''}${standard ? '' : ` (by default ${String(flag.default)})`}`;
}

function pairs(rows: readonly (readonly [string, string])[]): string[] {
  return rows.flatMap(([head, words]) => ['.TP', `.B ${text(head)}`, text(words)]);
}

/** troff(7) takes a hyphen for a dash, a backslash for an escape, and a dot or quote at a line's start for a request. */
function text(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');
}
