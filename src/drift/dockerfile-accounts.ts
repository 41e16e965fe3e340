import { whiteoutEntry } from '../layer/changes.ts';
import type { AppliedChange } from '../layer/commit-upper.ts';
import type { AccountChange } from './account-lines.ts';

/** What was changed of a file of accounts that the image has. */
export interface AccountsToSay extends AccountChange {
  /** `passwd` */
  name: string;
}

/** First number of people; those below are of the system, and mostly of its packages. @see login.defs(5), UID_MIN */
const FIRST_PERSON = 1000;
/** What stands in sed's expressions and in a Dockerfile as it is, but for dots and dollars. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.$-]*$/;
/** Where the lines are seen while they are put in. */
const SEEN = '/run/imgboot-accounts';

/** Whether names and their lines can be said in a Dockerfile one by one. */
export function canSayAccounts({ lines, removed }: AccountChange): boolean {
  return [...lines.keys(), ...removed].every((name) => PLAIN_NAME.test(name));
}

/** Without the accounts of the system that are new: those come with the packages that are installed. Pure. */
export function withoutSystemAccounts(accounts: readonly AccountsToSay[]): AccountsToSay[] {
  const systemNames = (file: string): Set<string> => {
    const change = accounts.find(({ name }) => name === file);
    const isSystems = (name: string): boolean =>
      Number(change!.lines.get(name)?.[0]?.split(':')[2]) < FIRST_PERSON;
    return new Set(change?.added.filter(isSystems));
  };
  const [users, groups] = [systemNames('passwd'), systemNames('group')];
  return accounts.map((change) => {
    const left = change.name === 'group' || change.name === 'gshadow' ? groups : users;
    return { ...change, lines: new Map([...change.lines].filter(([name]) => !left.has(name))) };
  });
}

/**
 * Puts accounts into the image's files by name, so that those of other names stay what the image has. The lines are
 * files of the context that only the step sees: no layer keeps a password that is not in the image's own files. Pure.
 */
export function accountLines(
  accounts: readonly AccountsToSay[],
  directory: string,
): { lines: string[]; files: AppliedChange[] } {
  const changed = accounts.filter(({ lines, removed }) => lines.size > 0 || removed.length > 0);
  if (changed.length === 0) return { lines: [], files: [] };
  const commands = changed.flatMap(({ name, lines, removed }) => [
    `sed -i ${[...lines.keys(), ...removed].map((one) => `-e '/^${one.replaceAll(/[.$]/g, String.raw`\$&`)}:/d'`).join(' ')} /etc/${name}`,
    ...(lines.size === 0 ? [] : [`cat ${SEEN}/${name} >> /etc/${name}`]),
  ]);
  const mount = `--mount=type=bind,source=${directory}/accounts,target=${SEEN}`;
  return {
    lines: [`RUN ${mount} \\\n    ${commands.join(' \\\n && ')}`],
    files: changed.filter(({ lines }) => lines.size > 0).map(({ name, lines }) => linesFile(name, lines)),
  };
}

function linesFile(name: string, lines: ReadonlyMap<string, readonly string[]>): AppliedChange {
  const content = Buffer.from(
    [...lines.values()]
      .flat()
      .map((line) => `${line}\n`)
      .join(''),
    'latin1',
  );
  const entry = { ...whiteoutEntry(''), path: `accounts/${name}`, mode: 0o600, size: content.length };
  return { entry, source: undefined, content };
}
