import { DockerfileParser } from 'dockerfile-ast';
import { dockerfileError } from './dockerfile-error.ts';
import type { Heredoc, Place } from './instruction.ts';
import { takeFlags } from './take-flags.ts';

/** One instruction of a Dockerfile, its keyword, flags and arguments apart, but not yet understood. */
export interface SourceInstruction extends Place {
  /** In capitals. */
  keyword: string;
  /** With their dashes, quotes and escapes taken away. */
  flags: string[];
  /** What follows keyword and flags, as it was written. */
  rest: string;
  heredocs: Heredoc[];
  escape: string;
}

/** Takes one instruction apart that stands on one line; heredocs are still to be added. */
export function splitInstruction(place: Place, escape: string): SourceInstruction {
  const { keyword, end } = keywordOf(place.text, escape);
  const { flags, rest } = takeFlags(place.text.slice(end), escape);
  return { ...place, keyword, flags, rest, heredocs: [], escape };
}

/** @throws IMGBOOT_DOCKERFILE always */
export function reject(source: Place, why: string, hint?: string): never {
  throw dockerfileError(source, why, { hint });
}

// Of a long line, the parser gets the beginning: it reads all arguments, some in quadratic time.
const LONGEST_LINE = 1000;

/**
 * The parser sees a line of which nothing can reach into the next: no escape at the end and no heredoc. It would take
 * `\\` for a continuation and `<<<word` or `"a <<b"` for the start of a heredoc, none of which Docker does.
 */
function keywordOf(text: string, escape: string): { keyword: string; end: number } {
  const line = text
    .slice(0, LONGEST_LINE)
    .replaceAll(/[\r\v\f]/g, ' ')
    .replaceAll('<<', '__')
    .replaceAll(escape, '_');
  const [instruction] = DockerfileParser.parse(line).getInstructions();
  if (instruction === undefined) return { keyword: '', end: 0 };
  const end = instruction.getInstructionRange().end.character;
  return { keyword: text.slice(0, end).toUpperCase(), end };
}
