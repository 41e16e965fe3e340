import { createWriteStream, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ImgbootError } from '../errors.ts';
import { REF_NAME, parseIndex, type Descriptor } from '../image/manifest.ts';
import { storedName } from '../image/reference.ts';
import type { ImageName } from '../image/transport.ts';
import { CommandFailed } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { Image } from './image.ts';
import { fetchImage } from './pull.ts';
import type { Store } from './store.ts';

export interface LoadRequest extends OperationOptions {
  /** An archive of docker save, podman save or skopeo, or an OCI layout directory. */
  source: { kind: 'path'; path: string } | { kind: 'stream'; stream: Readable };
  /** The name for an image that the archive gives none. */
  reference?: string | undefined;
}

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
  const archive = join(workspace.path, 'archive');
  if (request.source.kind === 'stream') {
    request.progress?.({ step: 'reading standard input' });
    await pipeline(request.source.stream, createWriteStream(archive, { mode: 0o600 }), {
      signal: request.signal,
    });
  } else {
    if (statSync(request.source.path, { throwIfNoEntry: false }) === undefined) {
      throw new ImgbootError(
        'IMGBOOT_NO_SUCH_FILE',
        `cannot load ${request.source.path}: there is no such file`,
      );
    }
    // skopeo's names end at a colon; this one has none.
    symlinkSync(resolve(request.source.path), archive);
  }
  const loaded: Image[] = [];
  for (const member of await members(archive, request)) {
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

async function members(archive: string, { signal }: LoadRequest): Promise<Member[]> {
  if (statSync(archive).isDirectory())
    return layoutMembers(
      parseIndex(readFileSync(join(archive, 'index.json')), 'index.json').manifests,
      `oci:${archive}`,
    );
  const manifest = await readMember(archive, 'manifest.json', signal);
  if (manifest !== undefined) return dockerMembers(manifest, archive);
  const index = await readMember(archive, 'index.json', signal);
  if (index !== undefined)
    return layoutMembers(parseIndex(Buffer.from(index), 'index.json').manifests, `oci-archive:${archive}`);
  throw new ImgbootError(
    'IMGBOOT_BAD_ARCHIVE',
    'this is no image archive: it has neither manifest.json nor index.json',
    {
      hint: 'a tar of a root file system is brought in with imgboot import',
    },
  );
}

/** @see image-spec 1.2 of Moby, "Combined Image JSON + Filesystem Changeset Format" */
function dockerMembers(manifest: string, archive: string): Member[] {
  const entries = JSON.parse(manifest) as { RepoTags?: string[] | null }[];
  return entries.map((entry, index) => ({
    from: `docker-archive:${archive}:@${index}`,
    references: entry.RepoTags ?? [],
  }));
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
  archive: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const { stdout } = await runCommand(
      'tar',
      ['--extract', '--to-stdout', '--occurrence=1', '--file', archive, name],
      { signal },
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
