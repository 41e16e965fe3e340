import { ImgbootError } from '../errors.ts';
import type { VirtualMachine } from '../vm/virtual-machine.ts';
import type { Prepared } from './prepare.job.ts';

/** The error for a version that does not become the default: why, what failed, and what the console printed last. */
export function refusal(
  version: string,
  request: {
    outcome: { why: string; details: string[] };
    prepared: Pick<Prepared, 'missing' | 'untested'>;
    machine: VirtualMachine;
  },
): ImgbootError {
  const { outcome, prepared, machine } = request;
  const lines = [
    `${version} does not become the default: ${outcome.why}`,
    ...prepared.missing.map(
      ({ file, source, target }) =>
        `${file} names ${source} (${target}), which nothing of this machine answers to`,
    ),
    ...prepared.untested.map((what) => `not tested: ${what}`),
    ...outcome.details.map((line) => `  ${line}`),
    "the console's last lines:",
    ...machine.console.lastLines().split('\n'),
  ];
  // The image has written much of it, and a terminal obeys control characters.
  const words = lines.map((line) => line.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')).join('\n');
  return new ImgbootError('IMGBOOT_GATE_REFUSED', words, {
    hint: 'nothing was changed; mend it, and try again',
  });
}
