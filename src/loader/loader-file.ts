import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../errors.ts';
import { replaceFileOnFat, removeOnFat } from '../system/durable.ts';

const BEGIN = '# BEGIN imgboot';
const END = '# END imgboot';
const LOADER_FILE_MODE = 0o644;

/** What a file holds; undefined where there is none. */
export function readLoaderFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes a file hold this, whole and durable; one that does already is not touched. */
export function writeLoaderFile(path: string, content: string): void {
  if (readLoaderFile(path) === content) return;
  mkdirSync(dirname(path), { recursive: true });
  replaceFileOnFat(path, content, LOADER_FILE_MODE);
}

/** Idempotent. */
export function removeLoaderFile(path: string): void {
  if (!existsSync(path)) return;
  removeOnFat(path);
}

/** What our lines remember of the file before them: it was not there, or its last line had no end. */
const marks = { absent: ' (new)', open: ' (+)', none: '' } as const;
const OUR_LINES = new RegExp(
  `(^|\\n)${BEGIN}( \\(new\\)| \\(\\+\\)|)\\n(?:(?!${BEGIN}).*\\n)*?${END}(?:\\n|$)`,
);

/**
 * Makes a file that others write to, too, have our lines at its end, or none of ours; one that we made goes again with
 * them. Idempotent: back and forth gives the same bytes.
 */
export function writeOurLines(path: string, lines: readonly string[]): void {
  const before = readLoaderFile(path);
  if (before === undefined && lines.length === 0) return;
  const wasAbsent = before === undefined || OUR_LINES.exec(before)?.[2] === marks.absent;
  const others = withoutOurLines(before ?? '');
  if (lines.length > 0) writeLoaderFile(path, withOurLines(others, { lines, wasAbsent }));
  else if (wasAbsent && others === '') removeLoaderFile(path);
  else writeLoaderFile(path, others);
}

/** A file's text without what {@link writeOurLines} put there. Pure. */
export function withoutOurLines(text: string): string {
  const match = OUR_LINES.exec(text);
  if (match === null) return text;
  const before = text.slice(0, match.index) + match[1]!;
  const after = text.slice(match.index + match[0].length);
  return match[2] === marks.open && after === '' ? before.slice(0, -1) : before + after;
}

/** Pure. */
function withOurLines(
  others: string,
  { lines, wasAbsent }: { lines: readonly string[]; wasAbsent: boolean },
): string {
  const isOpen = others !== '' && !others.endsWith('\n');
  const mark = wasAbsent && others === '' ? marks.absent : isOpen ? marks.open : marks.none;
  return `${others}${isOpen ? '\n' : ''}${[`${BEGIN}${mark}`, ...lines, END].join('\n')}\n`;
}
