import { reject, type SourceInstruction } from './source-instruction.ts';

/** Whether arguments are a JSON array of whatever. */
export function isJsonForm(rest: string): boolean {
  return parseArray(rest) !== undefined;
}

/**
 * Arguments as a JSON array of strings; undefined where they are no JSON: then Docker takes them for shell words.
 * @throws IMGBOOT_DOCKERFILE for an array with something else in it
 */
export function readJsonForm(source: SourceInstruction, rest = source.rest): string[] | undefined {
  const array = parseArray(rest);
  if (array === undefined) return undefined;
  if (!array.every((item) => typeof item === 'string')) {
    reject(source, 'a JSON array of an instruction holds strings only', 'put each item in double quotes');
  }
  return array;
}

function parseArray(rest: string): unknown[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  try {
    return JSON.parse(rest) as unknown[];
  } catch {
    return undefined;
  }
}
