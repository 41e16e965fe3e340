import { allowedHint } from './dockerfile-error.ts';
import { reject, type SourceInstruction } from './source-instruction.ts';
import { cut } from './words.ts';

/** What an instruction knows: `text` once, `texts` any number of times, `flag` with or without true or false. */
export type FlagKinds = Readonly<Record<string, 'text' | 'texts' | 'flag'>>;

type FlagValues<Kinds extends FlagKinds> = {
  [Name in keyof Kinds]: Kinds[Name] extends 'texts'
    ? string[]
    : (Kinds[Name] extends 'flag' ? boolean : string) | undefined;
};

/** @throws IMGBOOT_DOCKERFILE for a flag that is unknown, stands twice, or lacks its value */
export function readFlags<const Kinds extends FlagKinds>(
  source: SourceInstruction,
  kinds: Kinds,
): FlagValues<Kinds> {
  const values = new Map<string, string | string[] | boolean>();
  for (const flag of source.flags) {
    const [name, value] = cut(flag.slice(2));
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) {
      const names = Object.keys(kinds).map((known) => `--${known}`);
      const hint = names.length === 0 ? `${source.keyword} has no flags` : allowedHint(`--${name}`, names);
      reject(source, `unknown flag --${name}`, hint);
    }
    const before = values.get(name);
    if (kind === 'flag') values.set(name, readBoolean(source, name, value));
    else if (value === undefined) reject(source, `--${name} lacks its value`, `write --${name}=VALUE`);
    else if (Array.isArray(before)) before.push(value);
    else if (kind === 'texts') values.set(name, [value]);
    else values.set(name, value);
    if (before !== undefined && kind !== 'texts') reject(source, `--${name} stands twice`);
  }
  return Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [
      name,
      values.get(name) ?? (kind === 'texts' ? [] : undefined),
    ]),
  ) as FlagValues<Kinds>;
}

function readBoolean(source: SourceInstruction, name: string, value: string | undefined): boolean {
  const text = (value ?? 'true').toLowerCase();
  if (text !== 'true' && text !== 'false') {
    reject(source, `--${name} is true or false, not ${JSON.stringify(value)}`);
  }
  return text === 'true';
}
