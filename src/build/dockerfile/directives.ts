import { DockerfileParser } from 'dockerfile-ast';
import { allowedHint, dockerfileError } from './dockerfile-error.ts';

/** What the comments at the very top of a Dockerfile say to its parser. */
export interface Directives {
  escape: string;
}

const NAMES = ['syntax', 'escape', 'check'];

/**
 * Reads the parser directives. `syntax` and `check` are accepted and mean nothing here: the language is built in.
 * @throws IMGBOOT_DOCKERFILE for a directive that stands twice or an escape character that is none
 * @see Docker's reference, "Parser directives": they end at the first line that is none
 */
export function readDirectives(lines: readonly string[], file: string): Directives {
  const end = lines.findIndex((line) => !line.trimStart().startsWith('#'));
  const head = lines.slice(0, end === -1 ? lines.length : end).map((line) => line.trim());
  const seen = new Set<string>();
  let escape = '\\';
  for (const directive of DockerfileParser.parse(head.join('\n')).getDirectives()) {
    const { line } = directive.getRange().start;
    const text = head[line]!;
    const name = directive.getName().toLowerCase();
    // The parser takes the first word of any comment with a = for a name.
    const isDirective = NAMES.includes(name) && /^#\s*\w+\s*=\s*\S/.test(text);
    if (!isDirective || line !== seen.size) break;
    const place = { file, line: line + 1, text };
    if (seen.has(name)) throw dockerfileError(place, `the directive ${name} stands twice`);
    seen.add(name);
    if (name !== 'escape') continue;
    escape = directive.getValue();
    if (escape !== '\\' && escape !== '`') {
      throw dockerfileError(place, `invalid escape character ${escape}`, {
        hint: allowedHint('', ['\\', '`']),
      });
    }
  }
  return { escape };
}
