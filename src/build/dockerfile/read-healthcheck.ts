import { locate } from './dockerfile-error.ts';
import { parseDuration } from './duration.ts';
import { readFlags } from './flags.ts';
import type { HealthcheckInstruction, Place } from './instruction.ts';
import { readCommandLine } from './read-run.ts';
import { reject, type SourceInstruction } from './source-instruction.ts';

export function readHealthcheck(source: SourceInstruction): Omit<HealthcheckInstruction, keyof Place> {
  const flags = readFlags(source, {
    interval: 'text',
    timeout: 'text',
    'start-period': 'text',
    'start-interval': 'text',
    retries: 'text',
  });
  const [, type, rest] = /^(\S*)\s*(.*)$/s.exec(source.rest)!;
  if (type!.toUpperCase() === 'NONE') {
    if (rest !== '') reject(source, 'NONE takes no arguments');
    return { kind: 'HEALTHCHECK', check: 'none' };
  }
  if (type!.toUpperCase() !== 'CMD') reject(source, 'neither CMD nor NONE', 'write HEALTHCHECK CMD COMMAND');
  const line = readCommandLine(source, rest);
  if (line.command.length === 0) reject(source, 'the command is missing');
  const duration = (text: string | undefined): number =>
    text === undefined || text === '' ? 0 : locate(source, () => parseDuration(text));
  return {
    kind: 'HEALTHCHECK',
    check: {
      test: line.form === 'exec' ? ['CMD', ...line.command] : ['CMD-SHELL', line.command],
      interval: duration(flags.interval),
      timeout: duration(flags.timeout),
      startPeriod: duration(flags['start-period']),
      startInterval: duration(flags['start-interval']),
      retries: readRetries(source, flags.retries ?? '0'),
    },
  };
}

function readRetries(source: SourceInstruction, text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) reject(source, `--retries is a number, not ${JSON.stringify(text)}`);
  return Number(text);
}
