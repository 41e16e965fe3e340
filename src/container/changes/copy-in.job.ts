import { lstatSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { ImgbootError, errnoOf } from '../../errors.ts';
import { LayerApplier } from '../../layer/applier.ts';
import { createDecompressor, detectCompression, isLayerCompression } from '../../layer/decompress.ts';
import { enterRoot } from '../../layer/enter-root.ts';
import { splitPath } from '../../layer/path.ts';
import type { TarEntry, TarHandler } from '../../layer/tar-entry.ts';
import { TarReader } from '../../layer/tar-reader.ts';
import { commandFailure } from '../../system/exec.ts';
import { asFileOwner } from '../../system/idmapped-mount.ts';
import { readXattrs } from '../../system/libc.ts';
import { startProcess } from '../../system/process.ts';
import { openContainer, ownerOutside, type ContainerView } from './copy-root.ts';

/** A copy into a container, as plain data. */
export interface CopyInJob {
  view: ContainerView;
  /** Undefined for a tar from this process's standard input. */
  source:
    { path: string; name: string; isDirectory: boolean; contents: boolean; follow: boolean } | undefined;
  path: string;
  archive: boolean;
}

/** linux/stat.h */
const S_ISUID_ISGID = 0o6000;

export async function runJob(job: CopyInJob): Promise<void> {
  const root = openContainer(job.view);
  const { source } = job;
  if (source === undefined) return unpack(process.stdin, root, job);
  const args = [
    '--create',
    '--file=-',
    '--format=pax',
    '--numeric-owner',
    '--sparse',
    '--no-unquote',
    ...(job.archive ? ['--xattrs', '--xattrs-include=*'] : []),
    ...(source.follow ? ['--dereference'] : []),
    ...(source.isDirectory
      ? ['--directory', source.path, '--', '.']
      : ['--directory', dirname(source.path), '--', source.name]),
  ];
  const tar = await startProcess('tar', args, { stdin: 'ignore', stdout: 'pipe' });
  await unpack(tar.stdout!, root, job);
  const result = await tar.exited;
  if (result.exitCode !== 0) throw commandFailure(['tar', ...args], result);
}

/** Unpacks a tar from inside the root, where no name and no link leads out. */
async function unpack(stream: Readable, root: string, job: CopyInJob): Promise<void> {
  // What is loaded at first use is loaded from outside.
  readXattrs(root);
  asFileOwner({ uid: 0, gid: 0 }, () => {});
  const compressed = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await compressed.next();
  const start = first.done === true ? Buffer.alloc(0) : first.value;
  const compression = detectCompression(start);
  if (!isLayerCompression(compression))
    throw new ImgbootError(
      'IMGBOOT_UNKNOWN_COMPRESSION',
      `a tar compressed with ${compression} cannot be read`,
      {
        hint: `decompress it first: ${compression} -dc FILE | imgboot cp - CONTAINER:PATH`,
      },
    );
  using _inside = enterRoot(root);
  const applier = new LayerApplier({ plainNames: true });
  const reader = new TarReader(new Placed(applier, placeOf(job), job));
  const as = makerOf(job);
  const decompressor = createDecompressor(compression, (bytes) =>
    as === undefined ? reader.write(bytes) : asFileOwner(as, () => reader.write(bytes)),
  );
  await decompressor.write(start);
  for (let next = await compressed.next(); next.done !== true; next = await compressed.next())
    await decompressor.write(next.value);
  await decompressor.end();
  reader.finish();
  applier.finish();
}

/** Who makes files where root is nobody; this process as it is where undefined. */
function makerOf({ view }: CopyInJob): { uid: number; gid: number } | undefined {
  if (!('pid' in view) || view.owners === undefined) return undefined;
  return { uid: ownerOutside(0, view.owners.uids), gid: ownerOutside(0, view.owners.gids) };
}

/** Where the source goes: a directory that gets what is in it, or a name for a file. Inside the root. */
interface Place {
  path: string;
  /** The directory is there, and keeps what it is. */
  exists: boolean;
}

function placeOf({ source, path }: CopyInJob): Place {
  const clean = posix.normalize(`/${path}`).replace(/(?<=.)\/$/, '');
  const there = statSync(clean, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) {
    const directory = realpathSync.native(clean);
    if (source === undefined || source.contents) return { path: directory, exists: true };
    const target = posix.join(directory, source.name);
    return named(source, target);
  }
  if (source === undefined) throw missing(path, there !== undefined);
  if (there !== undefined) {
    if (source.isDirectory || path.endsWith('/')) throw missing(path, true);
    return { path: realpathSync.native(clean), exists: false };
  }
  if (!source.isDirectory && path.endsWith('/')) throw missing(path, false);
  try {
    return named(source, posix.join(realpathSync.native(dirname(clean)), basename(clean)));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
    throw missing(dirname(clean), errnoOf(error) === 'ENOTDIR');
  }
}

function named(source: NonNullable<CopyInJob['source']>, path: string): Place {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return { path, exists: false };
  if (source.isDirectory) {
    // A link to a directory stays, and what it leads to gets the files.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
      return { path: realpathSync.native(path), exists: true };
    throw missing(path, true);
  }
  if (!there.isDirectory()) return { path, exists: false };
  throw new ImgbootError('IMGBOOT_NOT_A_DIRECTORY', `${path} is a directory of the container`, {
    hint: 'a file is not copied over a directory',
  });
}

function missing(path: string, isThere: boolean): ImgbootError {
  return isThere
    ? new ImgbootError('IMGBOOT_NOT_A_DIRECTORY', `${path} of the container is not a directory`)
    : new ImgbootError('IMGBOOT_NO_SUCH_FILE', `the container has no directory ${path}`, {
        hint: 'make it first, with imgboot exec CONTAINER mkdir -p',
      });
}

/** Hands a tar's entries on as they are to be at their place. */
class Placed implements TarHandler {
  readonly #applier: LayerApplier;
  readonly #place: Place;
  readonly #job: CopyInJob;
  #skips = false;

  constructor(applier: LayerApplier, place: Place, job: CopyInJob) {
    this.#applier = applier;
    this.#place = place;
    this.#job = job;
  }

  entry(entry: TarEntry): void {
    const { source, archive, view } = this.#job;
    const path = this.#at(entry.path);
    // What is a directory already stays as it is, also behind a link.
    const stays = entry.type === 'directory' && isDirectory(path);
    this.#skips = stays && (path !== this.#place.path || this.#place.exists);
    if (this.#skips) return;
    if (
      entry.type !== 'directory' &&
      lstatSync(bytes(path), { throwIfNoEntry: false })?.isDirectory() === true
    )
      throw new ImgbootError('IMGBOOT_NOT_A_DIRECTORY', `${path} is a directory of the container`, {
        hint: 'a file is not copied over a directory',
      });
    // A tar says whose everything is; a file of the host's is not the same user's in the container.
    const isRoots = source !== undefined && !archive;
    const [uid, gid] = isRoots ? [0, 0] : [entry.uid, entry.gid];
    const owners = 'pid' in view ? view.owners : undefined;
    this.#applier.entry({
      ...entry,
      path,
      linkTarget: entry.type === 'hardlink' ? this.#at(entry.linkTarget) : entry.linkTarget,
      uid: owners === undefined ? uid : ownerOutside(uid, owners.uids),
      gid: owners === undefined ? gid : ownerOutside(gid, owners.gids),
      mode: isRoots ? entry.mode & ~S_ISUID_ISGID : entry.mode,
    });
  }

  data(chunk: Buffer, offset: number): void {
    if (!this.#skips) this.#applier.data(chunk, offset);
  }

  endEntry(): void {
    if (!this.#skips) this.#applier.endEntry();
  }

  #at(path: string): string {
    // A single file has its own name in the tar, and the place's in the container.
    if (this.#job.source?.isDirectory === false) return this.#place.path;
    const { parent, name } = splitPath(path);
    return [this.#place.path === '/' ? '' : this.#place.path, parent, name]
      .filter((part, index) => index === 0 || part !== '')
      .join('/');
  }
}

function isDirectory(path: string): boolean {
  return statSync(bytes(path), { throwIfNoEntry: false })?.isDirectory() === true;
}

function bytes(path: string): Buffer {
  return Buffer.from(path === '' ? '/' : path, 'latin1');
}
