import { wordError } from './dockerfile-error.ts';

/** A pattern for paths with `/`. {@link matchPath} follows all ways through it side by side: no pattern is slow. */
export type PathPattern = PathToken[];

type PathToken =
  | { kind: 'char'; char: string }
  /** `?`: one character of a name. */
  | { kind: 'any' }
  /** `*`: any characters of a name. */
  | { kind: 'star' }
  /** `**` followed by `/`: any directories, also none. */
  | { kind: 'directories' }
  /** `**` at the end: anything. */
  | { kind: 'rest' }
  | { kind: 'class'; negated: boolean; ranges: [low: string, high: string][] };

export interface PathPatternRules {
  /** What `**` is: any directories, or no more than `*`. */
  doubleStar: boolean;
}

// PATH_MAX of limits.h: a longer one names no file.
const LONGEST_PATTERN = 4096;

/** @throws IMGBOOT_DOCKERFILE (without a line) for an open bracket or a backslash at the end */
export function parsePathPattern(text: string, { doubleStar }: PathPatternRules): PathPattern {
  const chars = Array.from(text);
  if (chars.length > LONGEST_PATTERN)
    throw wordError(`a pattern is longer than ${LONGEST_PATTERN} characters`);
  const tokens: PathPattern = [];
  let index = 0;
  while (index < chars.length) {
    const char = chars[index++]!;
    if (char === '*' && doubleStar && chars[index] === '*') {
      index++;
      if (chars[index] === '/') index++;
      tokens.push({ kind: index === chars.length ? 'rest' : 'directories' });
    } else if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '\\') {
      const escaped = chars[index++];
      if (escaped === undefined) throw wordError(`the pattern ${text} ends in a backslash`);
      tokens.push({ kind: 'char', char: escaped });
    } else if (char === '[') {
      const read = readClass(chars, index);
      if (read === undefined) throw wordError(`the bracket in the pattern ${text} is not closed, or empty`);
      tokens.push(read.token);
      index = read.end;
    } else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

/** Whether the whole path matches. */
export function matchPath(pattern: PathPattern, path: string): boolean {
  return isMatch(pattern, advance(pattern, startOf(pattern), path));
}

/** Where a pattern stands after the beginning of a path: indexes of tokens yet to match, rising; none, if it failed. */
export type PatternStates = readonly number[];

export function startOf(pattern: PathPattern): PatternStates {
  return closure(pattern, [0]);
}

/** Where the pattern stands after more of the path. */
export function advance(pattern: PathPattern, from: PatternStates, text: string): PatternStates {
  let states = from;
  if (states.length === 0) return states;
  for (const char of text) {
    const next: number[] = [];
    for (const state of states) step(pattern, state, char, next);
    if (next.length === 0) return next;
    states = closure(pattern, next);
  }
  return states;
}

/** Whether the path read so far matches. */
export function isMatch(pattern: PathPattern, states: PatternStates): boolean {
  return states.at(-1) === pattern.length;
}

/** Within the directories that a `directories` token takes, only a slash leads out: that place is `state + 0.5`. */
function step(pattern: PathPattern, state: number, char: string, next: number[]): void {
  const token = pattern[Math.floor(state)];
  switch (token?.kind) {
    case 'char':
      if (token.char === char) next.push(state + 1);
      break;
    case 'any':
      if (char !== '/') next.push(state + 1);
      break;
    case 'star':
      if (char !== '/') next.push(state);
      break;
    case 'rest':
      next.push(state);
      break;
    case 'directories':
      next.push(Math.floor(state) + 0.5);
      if (char === '/') next.push(Math.floor(state) + 1);
      break;
    case 'class':
      if (token.ranges.some(([low, high]) => low <= char && char <= high) !== token.negated)
        next.push(state + 1);
      break;
    case undefined:
      break;
  }
}

/** Adds the states that are reached without a character. Each once, rising. */
function closure(pattern: PathPattern, states: number[]): number[] {
  const closed: number[] = [];
  for (const state of states) {
    for (let reached = state; ; reached++) {
      if (closed.length === 0 || closed.at(-1)! < reached) closed.push(reached);
      const kind = Number.isInteger(reached) ? pattern[reached]?.kind : undefined;
      if (kind !== 'star' && kind !== 'directories' && kind !== 'rest') break;
    }
  }
  return closed;
}

/** What stands in brackets, up to and with the closing one. @see Go's path/filepath.Match */
function readClass(chars: string[], start: number): { token: PathToken; end: number } | undefined {
  const ranges: [string, string][] = [];
  let index = start;
  const negated = chars[index] === '^';
  if (negated) index++;
  const readChar = (): string | undefined => {
    if (chars[index] === '\\') index++;
    return chars[index++];
  };
  while (chars[index] !== ']' || ranges.length === 0) {
    if (chars[index] === '-' || chars[index] === ']') return undefined;
    const low = readChar();
    if (low === undefined) return undefined;
    let high: string | undefined = low;
    if (chars[index] === '-') {
      index++;
      if (chars[index] === ']' || chars[index] === '-') return undefined;
      high = readChar();
      if (high === undefined) return undefined;
    }
    ranges.push([low, high]);
  }
  return { token: { kind: 'class', negated, ranges }, end: index + 1 };
}
