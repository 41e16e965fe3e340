import { readDirectives } from './directives.ts';
import { dockerfileError } from './dockerfile-error.ts';
import { findHeredocs } from './heredoc.ts';
import type { Heredoc } from './instruction.ts';
import { isJsonForm } from './json-form.ts';
import { splitInstruction, type SourceInstruction } from './source-instruction.ts';

/**
 * Divides a Dockerfile into its instructions: joins continued lines, leaves comments out, takes heredocs in.
 * @throws IMGBOOT_DOCKERFILE for a bad directive or a heredoc that does not end
 */
export function readSourceInstructions(
  text: string,
  file: string,
): { escape: string; instructions: SourceInstruction[] } {
  const lines = splitLines(text);
  const { escape } = readDirectives(lines, file);
  const reader = new LineReader(lines, escape, file);
  const instructions: SourceInstruction[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) instructions.push(next);
  return { escape, instructions };
}

/** Each line with its line end. */
function splitLines(text: string): string[] {
  return text.replace(/^\uFEFF/, '').match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

class LineReader {
  readonly #lines: readonly string[];
  readonly #escape: string;
  readonly #file: string;
  #index = 0;

  constructor(lines: readonly string[], escape: string, file: string) {
    this.#lines = lines;
    this.#escape = escape;
    this.#file = file;
  }

  next(): SourceInstruction | undefined {
    for (;;) {
      this.#skipBlanksAndComments();
      if (this.#index >= this.#lines.length) return undefined;
      const line = this.#index + 1;
      const text = this.#readContinued().trim();
      if (text === '') continue;
      const place = { file: this.#file, line, endLine: this.#index, text };
      const source = splitInstruction(place, this.#escape);
      if (!mayHaveHeredocs(source)) return source;
      const heredocs = findHeredocs(text).map((heredoc) => this.#readHeredoc(heredoc, place));
      return { ...source, heredocs, endLine: this.#index };
    }
  }

  #skipBlanksAndComments(): void {
    while (this.#index < this.#lines.length && isBlankOrComment(this.#lines[this.#index]!)) this.#index++;
  }

  /** Blank lines and comments between continued lines are left out, as Docker does. */
  #readContinued(): string {
    const parts: string[] = [];
    while (this.#index < this.#lines.length) {
      const line = this.#lines[this.#index++]!;
      if (isBlankOrComment(line)) continue;
      const { content, continues } = this.#cutContinuation(line.replace(/[\r\n]+$/, ''));
      parts.push(content);
      if (!continues) break;
    }
    return parts.join('');
  }

  /** An escape character at the end, blanks aside, continues the line, unless another stands right before it. */
  #cutContinuation(line: string): { content: string; continues: boolean } {
    const trimmed = line.replace(/[ \t]+$/, '');
    if (!trimmed.endsWith(this.#escape) || trimmed.at(-2) === this.#escape) {
      return { content: line, continues: false };
    }
    return { content: trimmed.slice(0, -1), continues: true };
  }

  #readHeredoc(heredoc: Heredoc, place: { file: string; line: number; text: string }): Heredoc {
    const start = this.#index;
    while (this.#index < this.#lines.length) {
      const line = this.#lines[this.#index++]!.replace(/[\r\n]+$/, '');
      if ((heredoc.stripTabs ? line.replace(/^\t+/, '') : line) === heredoc.name) {
        return { ...heredoc, content: this.#lines.slice(start, this.#index - 1).join('') };
      }
    }
    throw dockerfileError(place, `the heredoc ${heredoc.name} does not end`, {
      hint: `end it with a line that is ${heredoc.name} and nothing else`,
    });
  }
}

function isBlankOrComment(line: string): boolean {
  const text = line.trimStart();
  return text === '' || text.startsWith('#');
}

/** RUN, COPY and ADD, also as ONBUILD triggers, unless they have a JSON array. */
function mayHaveHeredocs(source: SourceInstruction): boolean {
  const inner =
    source.keyword === 'ONBUILD' ? splitInstruction({ ...source, text: source.rest }, source.escape) : source;
  return ['RUN', 'COPY', 'ADD'].includes(inner.keyword) && !isJsonForm(inner.rest);
}
