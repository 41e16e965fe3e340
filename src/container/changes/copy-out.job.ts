import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
} from 'node:fs';
import { basename, dirname, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ImgbootError, errnoOf } from '../../errors.ts';
import { enterRoot } from '../../layer/enter-root.ts';
import { commandFailure, runCommand } from '../../system/exec.ts';
import { startProcess } from '../../system/process.ts';
import { removeTree } from '../../system/remove-tree.ts';
import { makeAside, meansContents } from './copy.ts';
import { openContainer, type ContainerView } from './copy-root.ts';

/** A copy out of a container, as plain data. */
export interface CopyOutJob {
  view: ContainerView;
  path: string;
  archive: boolean;
  follow: boolean;
  /** Undefined for a tar to this process's standard output. */
  destination: { path: string; kind: 'missing' | 'file' | 'directory'; mustBeDirectory: boolean } | undefined;
}

/** What is to be copied, by descriptors: what takes its place meanwhile leads nowhere. */
interface Source extends Disposable {
  /** The directory that it is in. */
  parent: number;
  name: string;
  /** Itself, if it is a directory. */
  directory: number | undefined;
  /** What it was asked for by. */
  asked: string;
}

export async function runJob(job: CopyOutJob): Promise<void> {
  const root = openContainer(job.view);
  using source = findSource(root, job);
  if (job.destination === undefined) {
    await runCommand('tar', packArguments(source.name), {
      cwd: descriptorPath(source.parent),
      outputTo: 'inherit',
    });
  } else if (source.directory === undefined) await copyFile(source, job, job.destination);
  else await copyDirectory({ ...source, directory: source.directory }, job, job.destination);
}

function findSource(root: string, { path, follow }: CopyOutJob): Source {
  const clean = posix.normalize(`/${path}`).replace(/(?<=.)\/$/, '');
  const through = follow || meansContents(path) || path.endsWith('/');
  using _inside = enterRoot(root);
  try {
    const real = through
      ? realpathSync.native(clean)
      : posix.join(realpathSync.native(dirname(clean)), basename(clean));
    const isDirectory = lstatSync(real).isDirectory();
    if (!isDirectory && (path.endsWith('/') || meansContents(path))) throw notADirectory(path);
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    const parent = openSync(dirname(real), flags);
    const directory = isDirectory ? openSync(real, flags | constants.O_NOFOLLOW) : undefined;
    const close = (): void => [parent, directory].forEach((fd) => fd !== undefined && closeSync(fd));
    const name = basename(real) || '.';
    return { parent, name, directory, asked: basename(clean), [Symbol.dispose]: close };
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') throw notADirectory(path);
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `the container has no ${path}`, { cause: error });
  }
}

async function copyDirectory(
  source: { directory: number; asked: string },
  { path, archive }: CopyOutJob,
  { path: place, kind }: NonNullable<CopyOutJob['destination']>,
): Promise<void> {
  if (kind === 'file') throw cannotReplace(place);
  const isInto = kind === 'directory' && !meansContents(path) && source.asked !== '';
  const target = isInto ? `${place}/${source.asked}` : place;
  const there = statSync(target, { throwIfNoEntry: false });
  if (there === undefined) mkdirSync(target);
  else if (!there.isDirectory()) throw cannotReplace(target);
  const keep = there === undefined ? [] : ['--no-overwrite-dir'];
  // The directory's own entry is its target's.
  await transfer(
    [...withoutRights(archive), ...packArguments('.')],
    [...unpackArguments(archive), ...keep, '--directory', target],
    descriptorPath(source.directory),
  );
}

async function copyFile(
  source: Source,
  { archive }: CopyOutJob,
  { path: place, kind, mustBeDirectory }: NonNullable<CopyOutJob['destination']>,
): Promise<void> {
  if (kind !== 'directory' && mustBeDirectory) throw notADirectory(place);
  const target = kind === 'directory' ? `${place}/${source.asked}` : place;
  if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() === true) throw cannotReplace(target);
  const aside = makeAside(dirname(target), 'copy');
  try {
    await transfer(
      [...withoutRights(archive), ...packArguments(source.name)],
      [...unpackArguments(archive), '--directory', aside],
      descriptorPath(source.parent),
    );
    renameSync(`${aside}/${source.name}`, target);
  } finally {
    removeTree(aside);
  }
}

/** GNU tar follows no link when it packs, and none that it has unpacked itself. */
function packArguments(name: string): string[] {
  const attributes = ['--xattrs', '--xattrs-include=*', '--xattrs-exclude=trusted.overlay.*'];
  return [
    '--create',
    '--file=-',
    '--format=pax',
    '--numeric-owner',
    '--sparse',
    '--no-unquote',
    ...attributes,
    '--',
    name,
  ];
}

/** A program that runs as its owner shall not become one that runs as root. */
function withoutRights(archive: boolean): string[] {
  return archive ? [] : ['--mode=ug-s'];
}

function unpackArguments(archive: boolean): string[] {
  const owners = archive
    ? ['--same-owner', '--xattrs', '--xattrs-include=*']
    : ['--no-same-owner', '--no-xattrs'];
  return ['--extract', '--file=-', '--numeric-owner', '--same-permissions', ...owners];
}

async function transfer(
  packing: readonly string[],
  unpacking: readonly string[],
  directory: string,
): Promise<void> {
  const [pack, unpack] = await Promise.all([
    startProcess('tar', packing, { stdin: 'ignore', stdout: 'pipe', cwd: directory }),
    startProcess('tar', unpacking, { stdin: 'pipe', stdout: 'inherit' }),
  ]);
  // Whoever of the two fails says so by its exit status.
  await pipeline(pack.stdout!, unpack.stdin!).catch(() => {});
  for (const [process, args] of [
    [unpack, unpacking],
    [pack, packing],
  ] as const) {
    const result = await process.exited;
    if (result.exitCode !== 0) throw commandFailure(['tar', ...args], result);
  }
}

function descriptorPath(fd: number): string {
  return `/proc/${process.pid}/fd/${fd}`;
}

function cannotReplace(path: string): ImgbootError {
  return new ImgbootError('IMGBOOT_NOT_A_DIRECTORY', `${path} is there, and of another kind`, {
    hint: 'a directory is not copied over a file, nor a file over a directory',
  });
}

function notADirectory(path: string): ImgbootError {
  return new ImgbootError('IMGBOOT_NOT_A_DIRECTORY', `${path} is not a directory`);
}
