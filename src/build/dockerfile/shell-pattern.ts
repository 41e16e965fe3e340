import { wordError } from './dockerfile-error.ts';

/** A pattern of `${name#pattern}` and its kin: characters, `?` and `*`. Brackets mean themselves, as in Docker. */
export type ShellPattern = ShellToken[];
type ShellToken = { kind: 'char'; char: string } | { kind: 'any' } | { kind: 'star' };

// Matching costs pattern length times value length.
const LONGEST_PATTERN = 1024;

/** @throws IMGBOOT_DOCKERFILE (without a line) */
export function parseShellPattern(text: string): ShellPattern {
  const chars = Array.from(text);
  if (chars.length > LONGEST_PATTERN)
    throw wordError(`the pattern is longer than ${LONGEST_PATTERN} characters`);
  const tokens: ShellPattern = [];
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index]!;
    if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (char !== '\\') tokens.push({ kind: 'char', char });
    else {
      index++;
      const escaped = chars[index];
      if (escaped === undefined || !'*?\\}/'.includes(escaped)) {
        throw wordError(
          `invalid escape \\${escaped ?? ''} in the pattern ${text}`,
          'a pattern escapes * ? \\ } and /',
        );
      }
      tokens.push({ kind: 'char', char: escaped });
    }
  }
  return tokens;
}

/** `${name#pattern}`, or with `longest` `${name##pattern}`. */
export function removePrefix(pattern: ShellPattern, value: string, longest: boolean): string {
  const chars = Array.from(value);
  const end = matchEnd(pattern, chars, 0, longest);
  return end === -1 ? value : chars.slice(end).join('');
}

/** `${name%pattern}`, or with `longest` `${name%%pattern}`. */
export function removeSuffix(pattern: ShellPattern, value: string, longest: boolean): string {
  const chars = Array.from(value).toReversed();
  const end = matchEnd(pattern.toReversed(), chars, 0, longest);
  return end === -1 ? value : chars.slice(end).toReversed().join('');
}

/** `${name/pattern/replacement}`, or with `all` `${name//pattern/replacement}`. An empty pattern replaces nothing. */
export function replacePattern(
  pattern: ShellPattern,
  value: string,
  options: { replacement: string; all: boolean },
): string {
  if (pattern.length === 0) return value;
  const chars = Array.from(value);
  const hasStar = pattern.some(({ kind }) => kind === 'star');
  const first = pattern[0]!;
  let result = '';
  let start = 0;
  while (start < chars.length) {
    const canStart = first.kind !== 'char' || first.char === chars[start];
    const end = canStart ? matchEnd(pattern, chars, start, true) : -1;
    if (end > start) {
      result += options.replacement;
      start = end;
      if (!options.all) break;
      continue;
    }
    // Where its head is and the rest is not to be found, a pattern with a star is not found further on either.
    // Without this, the search would be quadratic.
    if (hasStar && canStart && matchesHead(pattern, chars, start)) break;
    result += chars[start];
    start++;
  }
  return result + chars.slice(start).join('');
}

/** Whether what stands before the first star matches here. */
function matchesHead(pattern: ShellPattern, chars: string[], start: number): boolean {
  const head = pattern.slice(
    0,
    pattern.findIndex(({ kind }) => kind === 'star'),
  );
  return matchEnd(head, chars, start, false) !== -1;
}

/**
 * Where a match that starts at `start` ends: the first or the last such place, -1 for none. All ways are followed
 * side by side, so that no pattern takes exponential time.
 */
function matchEnd(pattern: ShellPattern, chars: string[], start: number, longest: boolean): number {
  let states = closure(pattern, [0]);
  let end = -1;
  for (let index = start; ; index++) {
    if (states.at(-1) === pattern.length) {
      end = index;
      if (!longest) return end;
    }
    if (index >= chars.length || states.length === 0) return end;
    const next: number[] = [];
    for (const state of states) {
      const token = pattern[state];
      if (token === undefined) continue;
      if (token.kind === 'star') next.push(state);
      else if (token.kind === 'any' || token.char === chars[index]) next.push(state + 1);
    }
    states = closure(pattern, next);
  }
}

/** Adds what stars let pass without a character. States go in and come out in rising order, each once. */
function closure(pattern: ShellPattern, states: number[]): number[] {
  const closed: number[] = [];
  for (const state of states) {
    for (let reached = state; ; reached++) {
      if (closed.length === 0 || closed.at(-1)! < reached) closed.push(reached);
      if (pattern[reached]?.kind !== 'star') break;
    }
  }
  return closed;
}
