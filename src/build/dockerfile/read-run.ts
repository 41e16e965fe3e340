import { allowedHint, locate } from './dockerfile-error.ts';
import { readFlags } from './flags.ts';
import type { CommandLine, RunInstruction } from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { readMount } from './mount.ts';
import { reject, type SourceInstruction } from './source-instruction.ts';

const NETWORKS = ['default', 'none', 'host'] as const;
const SECURITIES = ['sandbox', 'insecure'] as const;

export function readRun(
  source: SourceInstruction,
): Omit<RunInstruction, keyof SourceInstruction> & CommandLine {
  const flags = readFlags(source, { mount: 'texts', network: 'text', security: 'text' });
  const line = readCommandLine(source);
  if (line.command.length === 0) reject(source, 'the command is missing');
  return {
    kind: 'RUN',
    ...line,
    mounts: flags.mount.map((text) => locate(source, () => readMount(text))),
    network: readChoice(source, '--network', flags.network, NETWORKS),
    security: readChoice(source, '--security', flags.security, SECURITIES),
  };
}

/** A shell command, or an argument vector; the latter may be empty. @throws IMGBOOT_DOCKERFILE without arguments */
export function readCommandLine(source: SourceInstruction, rest = source.rest): CommandLine {
  if (rest === '') reject(source, 'the command is missing');
  const array = readJsonForm(source, rest);
  return array === undefined ? { form: 'shell', command: rest } : { form: 'exec', command: array };
}

/** The first is the default. */
function readChoice<T extends string>(
  source: SourceInstruction,
  flag: string,
  text: string | undefined,
  choices: readonly [T, ...T[]],
): T {
  const choice = text === undefined ? choices[0] : choices.find((name) => name === text);
  if (choice === undefined) reject(source, `${flag} cannot be ${text}`, allowedHint(text ?? '', choices));
  return choice;
}
