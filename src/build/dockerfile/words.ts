import { wordError } from './dockerfile-error.ts';
import type { ArgPair, Pair } from './instruction.ts';

/** At the first `=`. */
export function cut(text: string): [name: string, value: string | undefined] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** Words between blanks; quotes and escapes mean nothing. */
export function splitAtBlanks(text: string): string[] {
  return text.split(/[\t\v\f\r ]+/).filter((word) => word !== '');
}

/** Words between blanks that are neither quoted nor escaped; quotes and escapes stay in them. */
export function splitQuoted(text: string, escape: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote: string | undefined;
  const end = (): void => {
    if (word !== '') words.push(word);
    word = '';
  };
  for (let position = 0; position < text.length; position++) {
    const char = text[position]!;
    if (quote === undefined && /\s/.test(char)) {
      end();
      continue;
    }
    if (char === escape && quote !== "'") {
      // An escape character that is the last one escapes nothing.
      if (position + 1 < text.length) word += char + text[++position]!;
      continue;
    }
    if (char === quote) quote = undefined;
    else if (quote === undefined && (char === '"' || char === "'")) quote = char;
    word += char;
  }
  end();
  return words;
}

/**
 * The arguments of ENV and LABEL: `name=value ...`, or one old `name value`, where the value is the rest of the line.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 */
export function readPairs(rest: string, escape: string): Pair[] {
  const words = splitQuoted(rest, escape);
  if (words.length === 0) throw wordError('the arguments are missing', 'write NAME=VALUE');
  if (!words[0]!.includes('=')) return [readOldPair(rest)];
  return words.map((word) => {
    const [name, value] = cut(word);
    if (value === undefined) {
      throw wordError(
        `there is no = in ${word}`,
        'write NAME=VALUE, and quotes where the value holds spaces',
      );
    }
    return { name: checkName(name), value };
  });
}

/** The arguments of ARG: `name` or `name=default`, several. @throws IMGBOOT_DOCKERFILE (without a line) */
export function readArgPairs(rest: string, escape: string): ArgPair[] {
  const words = splitQuoted(rest, escape);
  if (words.length === 0) throw wordError('the arguments are missing', 'write NAME or NAME=DEFAULT');
  return words.map((word) => {
    const [name, value] = cut(word);
    return { name: checkName(name), default: value };
  });
}

function readOldPair(rest: string): Pair {
  const match = /^([^\t\v\f\r ]+)[\t\v\f\r ]+(.*)$/s.exec(rest);
  if (match === null) throw wordError(`${rest} has no value`, 'write NAME=VALUE');
  return { name: match[1]!, value: match[2]! };
}

function checkName(name: string): string {
  if (name === '') throw wordError('a name is empty', 'write NAME=VALUE');
  return name;
}
