import { existsSync, mkdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../errors.ts';
import { replaceFile, syncDirectory } from '../system/durable.ts';

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
  replaceFile(path, content, LOADER_FILE_MODE);
}

/** Idempotent. */
export function removeLoaderFile(path: string): void {
  if (!existsSync(path)) return;
  unlinkSync(path);
  syncDirectory(dirname(path));
}

/**
 * Makes a file that others write to, too, have our lines at its end, or none of ours; one that we made goes again with
 * them. Idempotent: back and forth gives the same bytes.
 */
export function writeOurLines(path: string, lines: readonly string[]): void {
  const before = readLoaderFile(path);
  if (before === undefined && lines.length === 0) return;
  const others = withoutOurLines(before ?? '');
  const after = lines.length === 0 ? others : withOurLines(others, lines);
  if (after === '' && before !== undefined && before !== '') {
    rmSync(path);
    syncDirectory(dirname(path));
  } else writeLoaderFile(path, after);
}

/** A file's text without what {@link writeOurLines} put there. Pure. */
export function withoutOurLines(text: string): string {
  return text.replaceAll(
    new RegExp(`(?:^|\\n)${BEGIN}(\\+?)\\n[^]*?${END}(?:\\n|$)`, 'g'),
    (_, joined: string) => (joined === '+' ? '' : _.startsWith('\n') ? '\n' : ''),
  );
}

/** Pure. A last line without its end gets one, which `+` remembers. */
function withOurLines(others: string, lines: readonly string[]): string {
  const open = others !== '' && !others.endsWith('\n');
  return `${others}${open ? '\n' : ''}${[`${BEGIN}${open ? '+' : ''}`, ...lines, END].join('\n')}\n`;
}
