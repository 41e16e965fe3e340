import { expandWords } from './expand.ts';
import type { Heredoc } from './instruction.ts';

/** The heredocs that an instruction begins, in order, their contents still empty. */
export function findHeredocs(text: string): Heredoc[] {
  if (!text.includes('<<')) return [];
  let words: string[];
  try {
    words = expandWords(text, {}, { keepQuotes: true, keepEscapes: true, keepUnset: true });
  } catch {
    // An open quote or brace is the shell's business; where it is, Docker looks for no heredoc either.
    return [];
  }
  return words.map(parseHeredoc).filter((heredoc) => heredoc !== undefined);
}

/** The heredoc that a word like `<<EOF`, `<<-EOF`, `3<<"EOF"` begins; undefined for any other word. */
export function parseHeredoc(word: string): Heredoc | undefined {
  const match = /^([0-9]*)<<(-?)\s*([^<]*)$/.exec(word);
  if (match === null || match[3] === '') return undefined;
  const delimiter = match[3]!;
  const [name, more] = expandWords(delimiter, {}, { keepUnset: true });
  if (name === undefined || more !== undefined) return undefined;
  return {
    name,
    content: '',
    expand: countQuotes(name) === countQuotes(delimiterWithoutEscapes(delimiter)),
    stripTabs: match[2] === '-',
    fileDescriptor: Number(match[1]),
  };
}

/** What `<<-` leaves of a heredoc: each line without the tabs at its start. */
export function stripTabs(content: string): string {
  return content.replaceAll(/^\t+/gm, '');
}

/** An instruction with its heredocs, as a parser or a shell can read it again. */
export function withHeredocs(text: string, heredocs: readonly Heredoc[]): string {
  return text + heredocs.map(({ name, content }) => `\n${content}${name}`).join('');
}

// A delimiter of which any part is quoted has more quotes with them kept than without.
function delimiterWithoutEscapes(delimiter: string): string {
  return expandWords(delimiter, {}, { keepQuotes: true, keepUnset: true })[0] ?? '';
}

function countQuotes(text: string): number {
  return text.replaceAll(/[^'"]/g, '').length;
}
