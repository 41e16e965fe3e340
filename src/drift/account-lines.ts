import { accountFiles } from '../top-layer/account-files.ts';

/** Whether a path, from the root without its slash, is a file of accounts: of those, names are what counts. */
export function isAccountFile(path: string): boolean {
  return accountFiles.some((name) => path === `etc/${name}`);
}

/** What was changed of a file of accounts. */
export interface AccountChange {
  /** The names that are new or have other lines, with their lines. */
  lines: Map<string, string[]>;
  /** Those of them that are new. */
  added: string[];
  /** Names that are gone. */
  removed: string[];
}

/** By names, which may have several lines (subuid). Byte strings. Pure. */
export function compareAccounts(before: string, after: string): AccountChange {
  const [had, has] = [linesByName(before), linesByName(after)];
  const isSame = (name: string, lines: readonly string[]): boolean =>
    lines.join('\n') === had.get(name)?.join('\n');
  return {
    lines: new Map([...has].filter(([name, lines]) => !isSame(name, lines))),
    added: [...has.keys()].filter((name) => !had.has(name)),
    removed: [...had.keys()].filter((name) => !has.has(name)),
  };
}

function linesByName(text: string): Map<string, string[]> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Map.groupBy(lines, (line) => line.split(':', 1)[0]!);
}
