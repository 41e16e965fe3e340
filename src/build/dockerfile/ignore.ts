import { posix } from 'node:path';
import { locate, wordError } from './dockerfile-error.ts';
import {
  advance,
  isMatch,
  parsePathPattern,
  startOf,
  type PathPattern,
  type PatternStates,
} from './path-pattern.ts';

/** What a .dockerignore leaves out. Paths are relative to the context, with `/`, without `./`. */
export interface IgnoreMatcher {
  /** Whether the path, or a directory it is in, is left out, and no later exception takes it back in. */
  ignores(path: string): boolean;
  /** Whether the directory is left out with all that can be in it, so that nobody need look. */
  ignoresAllBelow(directory: string): boolean;
  /** Without comments; with `!` before an exception. For the cache key and the like. */
  readonly patterns: readonly string[];
}

interface IgnorePattern {
  exception: boolean;
  pattern: PathPattern;
  /** After the last wildcard. It tells most paths apart, without reading them. */
  ending: string;
}

/**
 * Reads a .dockerignore: a pattern a line; the last one that matches decides.
 * @throws IMGBOOT_DOCKERFILE for a bad pattern, with the line
 * @see Docker's build context documentation, "dockerignore files"; moby/patternmatcher for what they leave open
 */
export function parseIgnore(text: string, file = '.dockerignore'): IgnoreMatcher {
  const texts: string[] = [];
  const patterns: IgnorePattern[] = [];
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, whole] of lines.entries()) {
    const line = whole.trim();
    // Only at the very start of a line is # a comment.
    if (line === '' || whole.startsWith('#')) continue;
    const pattern = locate({ file, line: index + 1, text: line }, () => parseLine(line));
    patterns.push(pattern.parsed);
    texts.push(pattern.text);
  }
  return new Matcher(patterns, texts);
}

function parseLine(line: string): { parsed: IgnorePattern; text: string } {
  const exception = line.startsWith('!');
  const written = exception ? line.slice(1).trim() : line;
  if (written === '') throw wordError('an exception without a pattern', 'write the pattern after the !');
  const clean = cleanPath(written);
  const pattern = parseIgnorePattern(clean);
  return {
    parsed: { exception, pattern, ending: literalEnding(pattern) },
    text: exception ? `!${clean}` : clean,
  };
}

/** As Go's filepath.Clean, then without a slash at the start. */
function cleanPath(path: string): string {
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, '');
  return clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
}

/** `**name` at the start, with no other wildcard, also matches the end of a longer name. */
function parseIgnorePattern(clean: string): PathPattern {
  const pattern = parsePathPattern(clean, { doubleStar: true });
  const isSuffix = /^\*\*[^/*?[\\][^*?[\\]*$/.test(clean);
  return isSuffix ? [{ kind: 'rest' }, ...pattern.slice(1)] : pattern;
}

function literalEnding(pattern: PathPattern): string {
  const start = pattern.findLastIndex(({ kind }) => kind !== 'char') + 1;
  return pattern
    .slice(start)
    .map((token) => (token.kind === 'char' ? token.char : ''))
    .join('');
}

/** What a directory came to with one pattern. */
interface Progress {
  /** It matches, or one that it is in does. */
  matches: boolean;
  /** Where the pattern stands after its path. */
  states: PatternStates;
}

class Matcher implements IgnoreMatcher {
  readonly patterns: readonly string[];
  readonly #patterns: readonly IgnorePattern[];
  readonly #start: readonly Progress[];
  // A walk asks for one name of a directory after the other, so what the directory came to is kept. It also makes a
  // path cost its length, not that of all the directories it is in.
  #directory = '';
  #ofDirectory: readonly Progress[];

  constructor(patterns: readonly IgnorePattern[], texts: readonly string[]) {
    this.#patterns = patterns;
    this.patterns = texts;
    this.#start = patterns.map(({ pattern }) => ({ matches: false, states: startOf(pattern) }));
    this.#ofDirectory = this.#start;
  }

  ignores(path: string): boolean {
    // The context itself cannot be left out.
    if (path === '' || path === '.') return false;
    const { above, rest } = this.#split(path);
    for (let index = this.#patterns.length - 1; index >= 0; index--) {
      const { exception, pattern, ending } = this.#patterns[index]!;
      const { matches, states } = above[index]!;
      if (matches) return !exception;
      if (states.length === 0 || !path.endsWith(ending)) continue;
      if (isMatch(pattern, advance(pattern, states, rest))) return !exception;
    }
    return false;
  }

  ignoresAllBelow(directory: string): boolean {
    if (!this.ignores(directory)) return false;
    const progress = this.#readDirectory(directory);
    const last = progress.findLastIndex(({ matches }) => matches);
    return !this.#patterns.some(
      ({ exception, pattern }, index) =>
        index > last && exception && advance(pattern, progress[index]!.states, '/').length > 0,
    );
  }

  #readDirectory(directory: string): readonly Progress[] {
    if (this.#directory === directory) return this.#ofDirectory;
    const { above, rest } = this.#split(directory);
    const progress = this.#patterns.map(({ pattern }, index) => {
      const before = above[index]!;
      if (before.matches) return before;
      const states = advance(pattern, before.states, rest);
      return { matches: isMatch(pattern, states), states };
    });
    this.#directory = directory;
    this.#ofDirectory = progress;
    return progress;
  }

  /** What the directory of a path came to, and the rest of the path: a slash and the last name. */
  #split(path: string): { above: readonly Progress[]; rest: string } {
    const slash = path.lastIndexOf('/');
    if (slash === -1) return { above: this.#start, rest: path };
    return { above: this.#readDirectory(path.slice(0, slash)), rest: path.slice(slash) };
  }
}
