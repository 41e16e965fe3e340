import { wordError } from './dockerfile-error.ts';
import { parseShellPattern, removePrefix, removeSuffix, replacePattern } from './shell-pattern.ts';

export type Variables = ReadonlyMap<string, string> | Readonly<Record<string, string | undefined>>;

export interface WordRules {
  /** The Dockerfile's escape character; a backslash where not said. */
  escape?: string | undefined;
  /** Quotes stay in the result. */
  keepQuotes?: boolean;
  /** Escape characters stay in the result. */
  keepEscapes?: boolean;
  /** Quotes are characters like any other. */
  ignoreQuotes?: boolean;
  /** What names no variable stays as it is. */
  keepUnset?: boolean;
}

/**
 * One word or text with its variables replaced, quotes and escapes taken away; spaces stay.
 * @throws IMGBOOT_DOCKERFILE (without a line: see `locate`) for an open quote or brace, an unknown modifier,
 *   `${name:?why}` of nothing
 * @see Docker's reference, "Environment replacement"
 */
export function expand(text: string, variables: Variables, rules: WordRules = {}): string {
  return new WordReader(text, variables, rules).read().text;
}

/** Like {@link expand}, split at spaces that were neither quoted nor escaped; a value that held spaces splits too. */
export function expandWords(text: string, variables: Variables, rules: WordRules = {}): string[] {
  return new WordReader(text, variables, rules).read().words;
}

/** A heredoc's content as COPY writes it: quotes are content, `\` escapes whatever the escape directive says. */
export function expandHeredoc(content: string, variables: Variables): string {
  return expand(content, variables, { ignoreQuotes: true });
}

/** The names of the variables that a text refers to. @throws IMGBOOT_DOCKERFILE (without a line) */
export function variablesIn(text: string, rules: WordRules = {}): Set<string> {
  const reader = new WordReader(text, {}, { ...rules, keepUnset: true });
  reader.read();
  return reader.seen;
}

// A value may name others, which may name others: what doubles with each line ends here.
const LONGEST_RESULT = 16 * 1024 * 1024;
const DEEPEST_NESTING = 64;

const SPACE = /\s/;
const NAME = /[0-9]+|[\p{L}_][\p{L}\p{Nd}_]*|[@*#?\-$!]/uy;

class WordReader {
  readonly seen = new Set<string>();
  readonly #text: string;
  readonly #variables: Variables;
  readonly #rules: WordRules;
  readonly #escape: string;
  #keepEscapes: boolean;
  #position = 0;
  #depth = 0;

  constructor(text: string, variables: Variables, rules: WordRules) {
    this.#text = text;
    this.#variables = variables;
    this.#rules = rules;
    this.#escape = rules.escape ?? '\\';
    this.#keepEscapes = rules.keepEscapes ?? false;
  }

  read(): WordOutput {
    return this.#readUntil(undefined);
  }

  /** Reads to the end, or up to and with `stop`. */
  #readUntil(stop: string | undefined): WordOutput {
    const output = new WordOutput();
    while (this.#position < this.#text.length) {
      const char = this.#text[this.#position]!;
      if (char === stop) {
        this.#position++;
        return output;
      }
      if (char === '$') output.addText(this.#readDollar());
      else if (char === '<') output.addRaw(this.#readLess());
      else if (char === "'" && this.#rules.ignoreQuotes !== true) output.addRaw(this.#readSingleQuotes());
      else if (char === '"' && this.#rules.ignoreQuotes !== true) output.addRaw(this.#readDoubleQuotes());
      else if (char === this.#escape) this.#readEscape(output);
      else {
        output.addText(char);
        this.#position++;
      }
      if (output.text.length > LONGEST_RESULT) throw wordError('the text is too long after expansion');
    }
    if (stop !== undefined) throw wordError(`missing ${stop} in \${}`);
    return output;
  }

  #readEscape(output: WordOutput): void {
    const escaped = this.#text[this.#position + 1] ?? '';
    this.#position += 2;
    output.addRaw(this.#keepEscapes ? this.#escape + escaped : escaped);
  }

  /** `<<` and the blanks after it stay together, so that `<< EOF` is one word. */
  #readLess(): string {
    const operator = /<<[\t\r ]*|</y;
    operator.lastIndex = this.#position;
    const [text] = operator.exec(this.#text)!;
    this.#position += text.length;
    return text;
  }

  #readSingleQuotes(): string {
    const end = this.#text.indexOf("'", this.#position + 1);
    if (end === -1)
      throw wordError("a ' is open at the end", "close the quote, or write \\' for the character");
    const start = this.#position;
    this.#position = end + 1;
    return this.#rules.keepQuotes === true
      ? this.#text.slice(start, end + 1)
      : this.#text.slice(start + 1, end);
  }

  #readDoubleQuotes(): string {
    const quote = this.#rules.keepQuotes === true ? '"' : '';
    let result = quote;
    this.#position++;
    for (;;) {
      const char = this.#text[this.#position];
      if (char === undefined) {
        throw wordError('a " is open at the end', 'close the quote, or write \\" for the character');
      }
      if (char === '"') {
        this.#position++;
        return result + quote;
      }
      if (char === '$') {
        result += this.#readDollar();
        continue;
      }
      this.#position++;
      const next = this.#text[this.#position];
      if (char !== this.#escape) result += char;
      else if (next === '"' || next === '$' || next === this.#escape) {
        // Within double quotes, only these can be escaped; before all else, the escape character is itself.
        result += this.#keepEscapes ? char + next : next;
        this.#position++;
      } else if (next !== undefined) result += char;
    }
  }

  #readDollar(): string {
    this.#position++;
    if (this.#text[this.#position] === '{') {
      if (++this.#depth > DEEPEST_NESTING) throw wordError(`\${} is nested deeper than ${DEEPEST_NESTING}`);
      this.#position++;
      const value = this.#readBraces();
      this.#depth--;
      return value;
    }
    const name = this.#readName();
    if (name === '') return '$';
    return this.#lookUp(name) ?? (this.#rules.keepUnset === true ? `$${name}` : '');
  }

  /** What stands between `${` and `}`. */
  #readBraces(): string {
    const name = this.#readName();
    const modifier = this.#text[this.#position];
    if (modifier === undefined) throw wordError('missing } in ${}');
    if (name === '') {
      throw wordError(
        `bad substitution \${${modifier}`,
        'a variable is $NAME or ${NAME}; write \\$ for a dollar',
      );
    }
    const value = this.#lookUp(name);
    this.#position++;
    if (modifier === '}') return value ?? (this.#rules.keepUnset === true ? `\${${name}}` : '');
    if (modifier === '/') return this.#replace(name, value);
    if (modifier === '#' || modifier === '%') return this.#trim(name, value, modifier);
    return this.#choose(name, value, modifier);
  }

  /** `${name-word}`, `${name+word}`, `${name?word}`; after a colon, empty is unset. */
  #choose(name: string, value: string | undefined, first: string): string {
    let modifier = first;
    if (first === ':') modifier += this.#text[this.#position++] ?? '';
    const word = this.#readWord(false);
    if (value === undefined && this.#rules.keepUnset === true) return `\${${name}${modifier}${word}}`;
    const present = modifier.startsWith(':') && value === '' ? undefined : value;
    switch (modifier.at(-1)) {
      case '-':
        return present ?? word;
      case '+':
        return present === undefined ? '' : word;
      case '?': {
        if (present !== undefined) return present;
        const state = value === undefined ? 'unset' : 'empty';
        throw wordError(
          `${name}: ${word === '' ? `is not allowed to be ${state}` : word}`,
          `set it with ENV ${name}=..., or with ARG ${name} and --build-arg ${name}=...`,
        );
      }
      default:
        throw wordError(
          `unsupported modifier ${modifier} in \${${name}${modifier}...}`,
          'there are ${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?w} ${x?w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}',
        );
    }
  }

  /** `${name#pattern}`, `${name##pattern}`, `${name%pattern}`, `${name%%pattern}`. */
  #trim(name: string, value: string | undefined, modifier: '#' | '%'): string {
    const word = this.#readWord(true);
    if (value === undefined && this.#rules.keepUnset === true) return `\${${name}${modifier}${word}}`;
    const longest = word.startsWith(modifier);
    const pattern = parseShellPattern(longest ? word.slice(1) : word);
    const remove = modifier === '#' ? removePrefix : removeSuffix;
    return remove(pattern, value ?? '', longest);
  }

  /** `${name/pattern/replacement}`, `${name//pattern/replacement}`. */
  #replace(name: string, value: string | undefined): string {
    const all = this.#text[this.#position] === '/';
    if (all) this.#position++;
    const pattern = this.#readWord(true, '/');
    const replacement = this.#readWord(true);
    if (value === undefined && this.#rules.keepUnset === true) {
      return `\${${name}/${all ? '/' : ''}${pattern}/${replacement}}`;
    }
    return replacePattern(parseShellPattern(pattern), value ?? '', { replacement, all });
  }

  #readWord(keepEscapes: boolean, stop = '}'): string {
    const outside = this.#keepEscapes;
    this.#keepEscapes = keepEscapes || outside;
    const { text } = this.#readUntil(stop);
    this.#keepEscapes = outside;
    return text;
  }

  /** A name, a number, or one of the shell's special parameters; empty where none starts here. */
  #readName(): string {
    NAME.lastIndex = this.#position;
    const name = NAME.exec(this.#text)?.[0] ?? '';
    this.#position += name.length;
    return name;
  }

  #lookUp(name: string): string | undefined {
    this.seen.add(name);
    return lookUp(this.#variables, name);
  }
}

function lookUp(variables: Variables, name: string): string | undefined {
  if (variables instanceof Map) return variables.get(name) as string | undefined;
  // A Record must not answer for what every object has, such as `constructor`.
  const record = variables as Readonly<Record<string, string | undefined>>;
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** The result, as one text and as words. */
class WordOutput {
  text = '';
  readonly #words: string[] = [];
  #word = '';

  get words(): string[] {
    return this.#word === '' ? this.#words : [...this.#words, this.#word];
  }

  /** Spaces in it part words. */
  addText(text: string): void {
    this.text += text;
    for (const char of text) {
      if (!SPACE.test(char)) this.#word += char;
      else if (this.#word !== '') {
        this.#words.push(this.#word);
        this.#word = '';
      }
    }
  }

  addRaw(text: string): void {
    this.text += text;
    this.#word += text;
  }
}
