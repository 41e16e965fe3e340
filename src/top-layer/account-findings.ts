import { accountFiles, parseAccounts, REPLACE_ACCOUNTS, type AccountLine } from './account-files.ts';
import { firstOf, isProgram, textIn, type Finding, type Scene } from './finding.ts';
import { showName } from './show.ts';

/** How many fields a line of each file has. @see passwd(5), group(5), shadow(5), gshadow(5), subuid(5) */
const fieldCounts: Record<(typeof accountFiles)[number], number> = {
  passwd: 7,
  group: 4,
  shadow: 9,
  gshadow: 4,
  subuid: 3,
  subgid: 3,
};

/** Where the accounts of image and machine do not go together. */
export function accountFindings(scene: Scene): Finding[] {
  const given = accountFiles.filter((name) => scene.entries.some(({ path }) => path === `/etc/${name}`));
  return [
    ...given.flatMap((name) => fileFindings(scene, name)),
    ...(given.includes('passwd') ? [...numberFindings(scene, 'passwd'), ...userFindings(scene)] : []),
    ...(given.includes('group') ? numberFindings(scene, 'group') : []),
  ];
}

function warning(code: string, file: string, message: string, hint: string): Finding {
  return { level: 'warning', code, path: `/etc/${file}`, message, hint };
}

function fileFindings(scene: Scene, name: (typeof accountFiles)[number]): Finding[] {
  const entry = scene.entries.find(({ path }) => path === `/etc/${name}`)!;
  if (entry.facts.kind !== 'file')
    return [
      warning(
        'account-not-merged',
        name,
        `only a regular file is merged with the image's; this is a ${entry.facts.kind}`,
        'make it a file with the accounts of this machine',
      ),
    ];
  const wrong = parseAccounts(scene.top.read(entry.path)).filter(
    ({ name: account, fields }) => account === '' || fields.length !== fieldCounts[name],
  );
  return [
    ...wrong.map(({ name: account, fields }) =>
      warning(
        'bad-account-line',
        name,
        `the line of ${JSON.stringify(showName(account))} has ${fields.length} fields, and not ${fieldCounts[name]}`,
        `see ${name}(5)`,
      ),
    ),
    ...lostAccounts(scene, name),
  ];
}

/** The accounts of the image that plain replacement takes away. */
function lostAccounts(scene: Scene, name: (typeof accountFiles)[number]): Finding[] {
  const isReplaced = scene.entries.some(({ path }) => path === `/${REPLACE_ACCOUNTS}`);
  if (!isReplaced || (name !== 'passwd' && name !== 'group')) return [];
  const has = new Set(accountsIn(scene, 'after', name).map((line) => line.name));
  const lost = accountsIn(scene, 'before', name).filter((line) => !has.has(line.name));
  if (lost.length === 0) return [];
  return [
    warning(
      'lost-accounts',
      name,
      `it replaces the image's, which has ${lost.map((line) => showName(line.name)).join(', ')}, too`,
      `delete ${REPLACE_ACCOUNTS}, so that both are merged, or add them`,
    ),
  ];
}

/** Names that share a number that they did not share in the image or in the top layer, and names with another number. */
function numberFindings(scene: Scene, file: 'passwd' | 'group'): Finding[] {
  const [noun, number] = file === 'passwd' ? ['user', 'uid'] : ['group', 'gid'];
  const image = byName(accountsIn(scene, 'before', file));
  const own = byName(parseAccounts(ownText(scene, file)));
  const after = accountsIn(scene, 'after', file);
  const changed = [...own].flatMap(([name, id]) => {
    const old = image.get(name);
    return old === undefined || old === id || !byName(after).has(name)
      ? []
      : warning(
          `changed-${number}`,
          file,
          `${noun} ${showName(name)} has ${number} ${id} here and ${old} in the image, whose files stay with ${old}`,
          `give ${showName(name)} the number that the image has, and its files with it`,
        );
  });
  const shared = [...Map.groupBy(after, ({ fields }) => fields[2])].flatMap(([id, lines]) => {
    const ours = lines.filter(({ name }) => own.has(name) && !image.has(name));
    const theirs = lines.filter(({ name }) => image.has(name) && !own.has(name));
    if (ours.length === 0 || theirs.length === 0) return [];
    return warning(
      `shared-${number}`,
      file,
      `${number} ${id} is ${showName(ours[0]!.name)} here and ${showName(theirs[0]!.name)} in the image: each has the other's files`,
      `give ${showName(ours[0]!.name)} another number, and its files with it`,
    );
  });
  return [...changed, ...shared];
}

/** Shells that nobody logs in with. */
const noShell = /\/(?:nologin|false)$/;

/** Users of the machine that cannot log in there, or whose group nobody knows. */
function userFindings(scene: Scene): Finding[] {
  const groups = new Set(accountsIn(scene, 'after', 'group').map(({ fields }) => fields[2]));
  const shadow = byName(parseAccounts(textIn(scene, 'after', '/etc/shadow') ?? ''));
  const after = byName(accountsIn(scene, 'after', 'passwd'));
  const users = parseAccounts(ownText(scene, 'passwd')).filter(
    ({ name, fields }) => fields.length === fieldCounts.passwd && after.has(name),
  );
  const shellOf = ({ fields }: AccountLine): string => fields[6]!;
  const withoutGroup = users.filter(({ fields }) => !groups.has(fields[3]));
  const withoutShadow = users.filter(({ name, fields }) => fields[1] === 'x' && !shadow.has(name));
  const withoutShell = users.filter((user) => {
    const shell = shellOf(user);
    return shell !== '' && !noShell.test(shell) && !isProgram(scene.after, shell);
  });
  return [
    ...grouped(withoutGroup, ({ fields }) => fields[3]!).map(([gid, names]) =>
      warning(
        'unknown-primary-group',
        'passwd',
        `gid ${gid}, the group of ${names}, is neither in the image nor in the top layer`,
        'put it into etc/group of the top layer',
      ),
    ),
    ...grouped(withoutShell, shellOf).map(([shell, names]) =>
      warning(
        'no-shell',
        'passwd',
        `${showName(shell)}, the shell of ${names}, is not in the image: nobody can log in with it`,
        'install it in the image, or give another shell',
      ),
    ),
    ...grouped(withoutShadow, () => '').map(([, names]) =>
      warning(
        'no-shadow',
        'passwd',
        `the password of ${names} should be in etc/shadow, and neither image nor top layer has it there`,
        'put the lines of etc/shadow into the top layer, too',
      ),
    ),
  ];
}

/** Accounts that have something in common, each with a few of their names for a message. */
function grouped(lines: readonly AccountLine[], by: (line: AccountLine) => string): [string, string][] {
  return [...Map.groupBy(lines, by)].map(([key, some]) => [
    key,
    firstOf(
      some.map(({ name }) => name),
      3,
    ),
  ]);
}

function accountsIn(scene: Scene, when: 'before' | 'after', file: string): AccountLine[] {
  return parseAccounts(textIn(scene, when, `/etc/${file}`) ?? '');
}

function ownText({ entries, top }: Scene, file: string): string {
  const entry = entries.find(({ path }) => path === `/etc/${file}`);
  return entry?.facts.kind === 'file' ? top.read(entry.path) : '';
}

/** Names with their numbers: the first line of each counts, as it does for getpwnam(3). */
function byName(lines: readonly AccountLine[]): Map<string, string | undefined> {
  return new Map(lines.toReversed().map(({ name, fields }) => [name, fields[2]]));
}
