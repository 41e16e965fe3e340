import { createReadStream, createWriteStream, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandFailed, ImgbootError, errnoOf } from '../errors.ts';
import { REF_NAME, parseIndex, type Descriptor } from '../image/manifest.ts';
import { storedName } from '../image/reference.ts';
import type { ImageName } from '../image/transport.ts';
import { runCommand } from '../system/exec.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { Image } from './image.ts';
import { fetchImage } from './pull.ts';
import type { Store } from './store.ts';
import { compressionOfFile, undoCompression } from './undo-compression.ts';

export interface LoadRequest extends OperationOptions {
  /** An archive of docker save, podman save or skopeo, or an OCI layout directory. */
  source: { kind: 'path'; path: string } | { kind: 'stream'; stream: Readable };
  /** The name for an image that the archive gives none. */
  reference?: string | undefined;
}

/** The archive's name in the workspace; commands run there, because a store's path may hold a colon. */
const ARCHIVE = 'archive';

/** One image of an archive. */
interface Member {
  from: ImageName;
  /** Its names in the archive. */
  references: string[];
}

/**
 * Loads every image of an archive under the names that it has there. Images are taken over one at a time, each
 * whole or not at all.
 */
export async function loadArchive(store: Store, request: LoadRequest): Promise<Image[]> {
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  await bring(join(workspace.path, ARCHIVE), request);
  const loaded: Image[] = [];
  for (const member of await members(workspace.path, request)) {
    const names =
      member.references.length > 0
        ? member.references
        : request.reference === undefined
          ? []
          : [request.reference];
    if (names.length === 0) {
      throw new ImgbootError('IMGBOOT_USAGE', 'the archive has an image without a name', {
        hint: 'give one with --name',
      });
    }
    const stored = names.map(storedName);
    const descriptor = await fetchImage(store, { ...request, from: member.from, workspace });
    for (const name of stored) {
      await store.name(descriptor, name);
      loaded.push(store.image(name));
    }
  }
  return loaded;
}

/** Puts the archive, or a link to it, where its name has no character that means something to skopeo or tar. */
async function bring(place: string, { source, progress, signal }: LoadRequest): Promise<void> {
  if (source.kind === 'path') {
    const stats = statSync(source.path, { throwIfNoEntry: false });
    if (stats === undefined) {
      throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `cannot load ${source.path}: there is no such file`, {
        hint: 'give an archive of docker save, podman save or skopeo, or the directory of an OCI layout',
      });
    }
    if (stats.isDirectory()) return symlinkSync(resolve(source.path), place);
    if (stats.isFile()) return uncompressed(resolve(source.path), { place, signal });
  }
  // A pipe can be read once, and is read more often than that.
  const stream = source.kind === 'stream' ? source.stream : createReadStream(source.path);
  progress?.({ step: source.kind === 'stream' ? 'reading standard input' : `reading ${source.path}` });
  await pipeline(stream, createWriteStream(`${place}.read`, { mode: 0o600 }), { signal });
  await uncompressed(`${place}.read`, { place, signal });
}

/** skopeo reads compressed archives of some kinds and versions only. */
async function uncompressed(
  path: string,
  { place, signal }: { place: string; signal: AbortSignal | undefined },
): Promise<void> {
  if (compressionOfFile(path) === 'none') symlinkSync(path, place);
  else await undoCompression(path, { to: place, signal });
}

async function members(directory: string, { signal }: LoadRequest): Promise<Member[]> {
  const archive = join(directory, ARCHIVE);
  if (statSync(archive).isDirectory()) return layoutMembers(readLayoutIndex(archive), `oci:${ARCHIVE}`);
  const manifest = await readMember(directory, 'manifest.json', signal);
  if (manifest !== undefined) return dockerMembers(manifest);
  const index = await readMember(directory, 'index.json', signal);
  if (index !== undefined)
    return layoutMembers(parseIndex(Buffer.from(index), 'index.json').manifests, `oci-archive:${ARCHIVE}`);
  throw new ImgbootError(
    'IMGBOOT_BAD_ARCHIVE',
    'this is no image archive: it has neither manifest.json nor index.json',
    {
      hint: 'a tar of a root file system is brought in with imgboot import',
    },
  );
}

/** @see image-spec 1.2 of Moby, "Combined Image JSON + Filesystem Changeset Format" */
function dockerMembers(manifest: string): Member[] {
  return parseList(manifest).map((entry, index) => ({
    from: `docker-archive:${ARCHIVE}:@${index}`,
    references: Array.isArray(entry?.RepoTags) ? entry.RepoTags.map(String) : [],
  }));
}

function parseList(manifest: string): ({ RepoTags?: unknown } | null)[] {
  try {
    const entries = JSON.parse(manifest) as unknown;
    if (Array.isArray(entries)) return entries as ({ RepoTags?: unknown } | null)[];
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_BAD_ARCHIVE', 'manifest.json of the archive is not JSON', { cause });
  }
  throw new ImgbootError('IMGBOOT_BAD_ARCHIVE', 'manifest.json of the archive is not a list of images');
}

function readLayoutIndex(directory: string): Descriptor[] {
  try {
    return parseIndex(readFileSync(join(directory, 'index.json')), 'index.json').manifests;
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new ImgbootError('IMGBOOT_BAD_ARCHIVE', 'the directory is no OCI layout: it has no index.json', {
      cause,
      hint: 'a directory with a root file system is brought in with imgboot import',
    });
  }
}

function layoutMembers(
  manifests: readonly Descriptor[],
  place: `oci:${string}` | `oci-archive:${string}`,
): Member[] {
  const named = manifests.flatMap((descriptor) => descriptor.annotations?.[REF_NAME] ?? []);
  if (named.length > 0)
    return named.map((name) => ({ from: `${place}:${name}` as ImageName, references: [name] }));
  return [{ from: place, references: [] }];
}

/** A small file of an archive, which may be compressed; undefined when it is not there. */
async function readMember(
  directory: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const { stdout } = await runCommand(
      'tar',
      ['--extract', '--to-stdout', '--occurrence=1', '--file', ARCHIVE, name],
      { cwd: directory, signal },
    );
    return stdout;
  } catch (error) {
    if (error instanceof CommandFailed && error.stderr.includes('Not found in archive')) return undefined;
    if (!(error instanceof CommandFailed)) throw error;
    throw new ImgbootError('IMGBOOT_BAD_ARCHIVE', `the archive cannot be read: ${error.message}`, {
      cause: error,
      hint: 'it may be cut off: make it again and compare the sizes',
    });
  }
}
