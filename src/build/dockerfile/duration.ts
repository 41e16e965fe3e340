import { wordError } from './dockerfile-error.ts';

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const PART = /([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/y;

/**
 * A duration such as `1h30m` or `1.5s`, in nanoseconds; at least a millisecond, or 0.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 * @see Go's time.ParseDuration
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  let total = 0;
  let position = 0;
  while (position < text.length) {
    PART.lastIndex = position;
    const match = PART.exec(text);
    if (match === null) throw badDuration(text);
    total += Number(match[1]) * NANOSECONDS[match[2]!]!;
    position = PART.lastIndex;
  }
  if (text === '' || total > Number.MAX_SAFE_INTEGER) throw badDuration(text);
  total = Math.round(total);
  if (total !== 0 && total < 1e6) throw wordError(`a duration cannot be less than 1ms: ${text}`);
  return total;
}

function badDuration(text: string): Error {
  return wordError(`not a duration: ${JSON.stringify(text)}`, 'write 30s, 1m30s, 500ms');
}
