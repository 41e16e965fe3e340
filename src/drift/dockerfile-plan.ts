import type { Change } from '../layer/changes.ts';
import type { AppliedChange } from '../layer/commit-upper.ts';
import type { TreeChange } from '../layer/diff-trees.ts';
import { accountLines, type AccountsToSay } from './dockerfile-accounts.ts';
import { isPlainPath, shellWord } from './dockerfile-words.ts';

/** What a Dockerfile says of changes, and the files beside it that it needs. */
export interface DockerfilePlan {
  /** Each an instruction, which may have several lines. */
  lines: string[];
  /** Files of the build context: where they go in it, and whose content they have. */
  files: AppliedChange[];
  /** Paths whose extended attributes no COPY brings, byte strings. */
  unsaid: string[];
}

export interface DockerfileRequest {
  changes: readonly TreeChange[];
  /** Paths at which something of another kind is to go first. */
  retyped: ReadonlySet<string>;
  accounts: readonly AccountsToSay[];
  /** The directory of the context that the files are in. */
  directory: string;
}

/** How many words a line has at most. */
const WORDS = 40;
/** Where names wait that no COPY can have. */
const WAITING = '/.imgboot-adopted';

/** Says changes of files as a Dockerfile. Pure. */
export function planDockerfile({ changes, retyped, accounts, directory }: DockerfileRequest): DockerfilePlan {
  const kept = changes.filter(({ kind }) => kind !== 'deleted');
  const gone = changes.filter(({ kind, path }) => kind === 'deleted' || retyped.has(path));
  const said = accountLines(accounts, directory);
  const copies = planCopies(kept, directory);
  return {
    lines: [
      ...chunks(gone.map(({ path }) => wordOf(path))).map((words) => `RUN rm -rf -- ${words.join(' ')}`),
      ...said.lines,
      ...directoryLines(kept),
      ...copies.lines,
      ...run(kept.flatMap(specialCommands)),
      ...run(kept.flatMap(modeCommands)),
    ],
    files: [...said.files, ...copies.files],
    unsaid: kept.filter(({ entry }) => entry.xattrs.size > 0).map(({ path }) => path),
  };
}

function directoryLines(kept: readonly TreeChange[]): string[] {
  const directories = kept.filter(({ entry }) => entry.type === 'directory');
  // COPY makes what is root's by itself.
  const isImplied = ({ path, entry }: TreeChange): boolean =>
    modeOf(entry) === '0755' &&
    ownerOf(entry) === '0:0' &&
    kept.some((other) => other.entry.type === 'file' && other.path.startsWith(`${path}/`));
  const alike = Map.groupBy(
    directories.filter((one) => !isImplied(one)),
    ({ entry }) => `${ownerOf(entry)} ${modeOf(entry)}`,
  );
  return [...alike].flatMap(([key, group]) => {
    const [owner, mode] = key.split(' ') as [string, string];
    return chunks(group.map(({ path }) => wordOf(path))).map((words) => {
      const all = words.join(' ');
      return `RUN mkdir -p -- ${all} \\\n && chown ${owner} -- ${all} \\\n && chmod ${mode} -- ${all}`;
    });
  });
}

function planCopies(
  kept: readonly TreeChange[],
  directory: string,
): { lines: string[]; files: AppliedChange[] } {
  const regular = kept.filter(({ entry }) => entry.type === 'file');
  const [plain, odd] = [
    regular.filter(({ path }) => isPlainPath(path)),
    regular.filter(({ path }) => !isPlainPath(path)),
  ];
  const alike = Map.groupBy(plain, ({ path, entry }) => `${copyFlags(entry)} ${parentOf(path)}`);
  const lines = [...alike.values()].flatMap((group) => {
    const [{ path, entry }] = group as [TreeChange];
    return chunks(group.map((one) => `${directory}/files/${one.path}`)).map(
      (words) => `COPY ${copyFlags(entry)} ${words.join(' ')} ${parentOf(path)}`,
    );
  });
  const moved = odd.map(({ path, entry }, index) => {
    const waiting = `${WAITING}/${index + 1}`;
    return {
      copy: `COPY ${copyFlags(entry)} ${directory}/odd/${index + 1} ${waiting}`,
      move: `mv -f ${waiting} ${wordOf(path)}`,
    };
  });
  return {
    lines: [
      ...lines,
      ...moved.map(({ copy }) => copy),
      ...run(moved.length === 0 ? [] : [...moved.map(({ move }) => move), `rmdir ${WAITING}`]),
    ],
    files: [
      ...plain.map((change) => contextFile(change, `files/${change.path}`)),
      ...odd.map((change, index) => contextFile(change, `odd/${index + 1}`)),
    ],
  };
}

/** What is neither a file with its first name nor a directory. */
function specialCommands({ path, entry }: TreeChange): string[] {
  const word = wordOf(path);
  const { major, minor } = entry.device;
  const own = (command: string): string[] => [
    `rm -rf -- ${word}`,
    command,
    ...(ownerOf(entry) === '0:0' ? [] : [`chown -h ${ownerOf(entry)} -- ${word}`]),
  ];
  switch (entry.type) {
    case 'symlink':
      return own(`ln -s -- ${shellWord(entry.linkTarget)} ${word}`);
    case 'hardlink':
      return [`ln -f -- ${wordOf(entry.linkTarget)} ${word}`];
    case 'fifo':
      return own(`mkfifo -m ${modeOf(entry)} ${word}`);
    case 'character':
      return own(`mknod -m ${modeOf(entry)} ${word} c ${major} ${minor}`);
    case 'block':
      return own(`mknod -m ${modeOf(entry)} ${word} b ${major} ${minor}`);
    default:
      return [];
  }
}

/** Bits that builders do not all take from COPY. */
function modeCommands({ path, entry }: TreeChange): string[] {
  return entry.type === 'file' && entry.mode > 0o777 ? [`chmod ${modeOf(entry)} -- ${wordOf(path)}`] : [];
}

function contextFile({ entry, source }: TreeChange, path: string): AppliedChange {
  // Whose it is and what may be done with it, COPY says; in the context, secrets stay secrets.
  return { entry: { ...entry, path, uid: 0, gid: 0, mode: entry.mode & 0o700, xattrs: new Map() }, source };
}

function copyFlags(entry: Change['entry']): string {
  return `--chown=${ownerOf(entry)} --chmod=${(entry.mode & 0o777).toString(8).padStart(4, '0')}`;
}

function ownerOf({ uid, gid }: Change['entry']): string {
  return `${uid}:${gid}`;
}

function modeOf({ mode }: Change['entry']): string {
  return mode.toString(8).padStart(4, '0');
}

function parentOf(path: string): string {
  return `/${path.slice(0, path.lastIndexOf('/') + 1)}`;
}

function wordOf(path: string): string {
  return shellWord(`/${path}`);
}

function run(commands: readonly string[]): string[] {
  return chunks(commands).map((some) => `RUN ${some.join(' \\\n && ')}`);
}

function chunks<One>(all: readonly One[]): One[][] {
  return Array.from({ length: Math.ceil(all.length / WORDS) }, (_, index) =>
    all.slice(index * WORDS, (index + 1) * WORDS),
  );
}
