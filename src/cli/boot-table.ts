import type { BootSummary } from '../boot/boot-summary.ts';
import type { DescribedBoot } from '../boot/describe-boot.ts';
import { printable, table } from './table.ts';

/** Boots, a line each. */
export function bootTable(boots: readonly BootSummary[]): string {
  return table(
    ['BOOT', 'WHEN', 'BOOTED', 'WRITABLE', 'SECONDS', 'OUTCOME', 'FALLBACKS'],
    boots.map((boot) => [
      String(boot.number),
      timeOrNot(boot.time),
      boot.of,
      boot.writable ?? '',
      boot.seconds === null ? '' : boot.seconds.toFixed(1),
      outcomeOf(boot),
      boot.fallbacks.join('; '),
    ]),
  );
}

function outcomeOf({ outcome, running }: BootSummary): string {
  const words = { good: 'good', counted: running ? '' : 'not good', uncounted: '' }[outcome];
  return [words, running ? 'running' : ''].filter(Boolean).join(', ');
}

function timeOrNot(time: string | null): string {
  return time === null ? 'clock not set' : localTime(time);
}

/** A boot in one line. */
export function bootTitle({ kept, title }: DescribedBoot): string {
  return printable(kept === undefined ? title : `boot ${kept.number}, ${timeOrNot(kept.time)}: ${title}`);
}

/** To the minute, where this machine is. */
export function localTime(time: string): string {
  const date = new Date(time);
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
