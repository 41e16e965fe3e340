import { constants } from 'node:os';
import { allowedHint, wordError } from './dockerfile-error.ts';

const LAST_SIGNAL = 64;

/**
 * Checks what STOPSIGNAL names: a number, or a name with or without SIG; systemd's is `SIGRTMIN+3`.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 */
export function checkSignal(signal: string): string {
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const names = Object.keys(constants.signals);
  const isKnown =
    (/^[0-9]{1,2}$/.test(signal) && Number(signal) >= 1 && Number(signal) <= LAST_SIGNAL) ||
    names.includes(`SIG${name}`) ||
    /^RTMIN(?:\+(?:[1-9]|1[0-5]))?$|^RTMAX(?:-(?:[1-9]|1[0-4]))?$/.test(name);
  if (!isKnown) {
    throw wordError(
      `unknown signal ${JSON.stringify(signal)}`,
      allowedHint(`SIG${name}`, [...names, 'SIGRTMIN+3']),
    );
  }
  return signal;
}
