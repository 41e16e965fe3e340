import { resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';

/** `NAME=VALUE`; a NAME alone takes its value from the environment, and is left out when that has none. */
export function readBuildArgs(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text): [string, string | undefined] => {
    const equals = text.indexOf('=');
    return equals < 0 ? [text, process.env[text]] : [text.slice(0, equals), text.slice(equals + 1)];
  });
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

/** `NAME=VALUE`; without a value it is empty. */
export function readLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) =>
      text.includes('=') ? [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] : [text, ''],
    ),
  );
}

/** A secret for a build: the bytes are in a file, or in a variable of our environment. */
export type BuildSecret = { id: string; path: string } | { id: string; value: string };

/** `id=ID[,src=FILE]` or `id=ID,env=NAME`; without either, the variable or else the file named ID. @throws IMGBOOT_USAGE */
export function readSecrets(texts: readonly string[]): BuildSecret[] {
  return texts.map((text) => {
    const fields = new Map(text.split(',').map((field) => field.split(/=(.*)/s, 2) as [string, string]));
    const id = fields.get('id');
    const unknown = [...fields.keys()].find((key) => !['id', 'src', 'source', 'env', 'type'].includes(key));
    if (id === undefined || id === '' || unknown !== undefined) {
      throw new ImgbootError(
        'IMGBOOT_USAGE',
        `not a secret: ${text
          .split(',')
          .map((field) => field.split('=')[0])
          .join(',')}`,
        { hint: 'a secret is id=ID,src=FILE or id=ID,env=NAME' },
      );
    }
    const name = fields.get('env') ?? (fields.has('src') || fields.has('source') ? undefined : id);
    const value = name === undefined ? undefined : process.env[name];
    if (value !== undefined) return { id, value };
    if (fields.has('env'))
      throw new ImgbootError(
        'IMGBOOT_USAGE',
        `the secret ${id} is to come from the variable ${name}, which is not set`,
      );
    return { id, path: resolve(fields.get('src') ?? fields.get('source') ?? id) };
  });
}
