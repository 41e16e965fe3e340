import { constants } from 'node:os';
import { ImgbootError } from '../errors.ts';

/** As glibc and the field have them: two of the kernel's real-time signals are the C library's own. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** A signal's number, of `SIGTERM`, `term`, `15`, `SIGRTMIN+3`. @throws IMGBOOT_USAGE */
export function signalNumber(text: string): number {
  if (/^[0-9]+$/.test(text) && Number(text) >= 1 && Number(text) <= SIGRTMAX) return Number(text);
  const name = text.toUpperCase().replace(/^SIG/, '');
  const known = Object.entries(constants.signals).find(([signal]) => signal === `SIG${name}`);
  if (known !== undefined) return known[1];
  const [, base, offset = '0'] = /^RT(MIN|MAX)(?:[+-]([0-9]+))?$/.exec(name) ?? [];
  const number = base === 'MIN' ? SIGRTMIN + Number(offset) : SIGRTMAX - Number(offset);
  if (base !== undefined && number >= SIGRTMIN && number <= SIGRTMAX) return number;
  throw new ImgbootError('IMGBOOT_USAGE', `there is no signal ${JSON.stringify(text)}`, {
    hint: 'kill -l lists them',
  });
}

/** The name of a signal, such as `SIGTERM`; `SIGRTMIN+3` for a real-time one. */
export function signalName(number: number): string {
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  return known?.[0] ?? `SIGRTMIN+${number - SIGRTMIN}`;
}
