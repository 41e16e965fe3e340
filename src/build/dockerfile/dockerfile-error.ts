import { ImgbootError } from '../../errors.ts';
import type { Place } from './instruction.ts';

const LONGEST_QUOTE = 100;

/** An error at a line of a Dockerfile: `FILE:LINE: why: the instruction`. */
export function dockerfileError(
  place: Pick<Place, 'file' | 'line' | 'text'>,
  why: string,
  options: { hint?: string | undefined; cause?: unknown } = {},
): ImgbootError {
  const quote = place.text.length > LONGEST_QUOTE ? `${place.text.slice(0, LONGEST_QUOTE)}...` : place.text;
  const message = `${place.file}:${place.line}: ${why}${quote === '' ? '' : `: ${quote}`}`;
  return new ImgbootError('IMGBOOT_DOCKERFILE', message, options);
}

/** An error that knows no line yet; {@link locate} adds it. */
export function wordError(why: string, hint?: string): ImgbootError {
  return new ImgbootError('IMGBOOT_DOCKERFILE', why, { hint });
}

/** Runs `work`, and says in its errors where in the Dockerfile they arose. */
export function locate<T>(place: Pick<Place, 'file' | 'line' | 'text'>, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ImgbootError)) throw error;
    throw dockerfileError(place, error.message, { hint: error.hint, cause: error });
  }
}

/** The name that was most likely meant; undefined where none is near. */
function nearestName(word: string, names: readonly string[]): string | undefined {
  const wanted = word.toLowerCase().slice(0, 64);
  let nearest: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  return nearest;
}

/** `did you mean X? ` where something is near, then what is allowed. */
export function allowedHint(word: string, names: readonly string[]): string {
  const near = nearestName(word, names);
  return `${near === undefined ? '' : `did you mean ${near}? `}allowed: ${names.join(', ')}`;
}

/** How many characters must be inserted, removed, replaced, or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, beforeLast[column - 2]! + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}
