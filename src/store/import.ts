import { constants, createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ImgbootError } from '../errors.ts';
import { nextChainId } from '../image/chain-id.ts';
import { layerMediaTypes, type Config, type HistoryEntry } from '../image/manifest.ts';
import { storedName } from '../image/reference.ts';
import { isLayerCompression } from '../layer/decompress.ts';
import { runCommand } from '../system/exec.ts';
import type { OperationOptions } from '../system/progress.ts';
import { timestamp } from '../system/timestamp.ts';
import { canonicalTar } from './canonical-tar.ts';
import { adoptBlob, writeManifest } from './add-image.ts';
import { layerName } from './paths.ts';
import type { Store } from './store.ts';
import { compressionOfFile, undoCompression } from './undo-compression.ts';
import { publishLayer, runUnpack } from './unpack.ts';
import type { Image } from './image.ts';
import type { Workspace } from './workspace.ts';

/** Where a root file system comes from. */
export type RootfsSource =
  | { kind: 'stream'; stream: Readable }
  /** A tar, plain or compressed with gzip, zstd, xz, bzip2 or lz4. */
  | { kind: 'file'; path: string }
  | { kind: 'directory'; path: string };

export interface ImportRequest extends OperationOptions {
  source: RootfsSource;
  reference: string;
  /** What the image's history says of where it came from. */
  createdBy: string;
  config?: Config['config'];
}

/** Node's names of machines -> GOARCH, which image configs use. */
const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  riscv64: 'riscv64',
  ppc64: 'ppc64le',
  s390x: 's390x',
  ia32: '386',
};

/**
 * Makes an image of one layer from a root file system. The blob is kept as it came when it is plain, gzip or zstd;
 * other compressions are undone, since OCI layers have none of them. All or nothing.
 */
export async function importRootfs(store: Store, request: ImportRequest): Promise<Image> {
  const reference = storedName(request.reference);
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  const source = await spool(workspace, request);
  const newName = workspace.newLayerName(0);
  request.progress?.({ step: 'unpacking' });
  const [applied] = await runUnpack(store, {
    ...request,
    progress: undefined,
    workspace,
    parents: [],
    steps: [{ newName, source: { ...source, expected: undefined } }],
  });
  const { digest, diffId, sizeBytes, compression } = applied!;
  const chainId = nextChainId(undefined, diffId);
  adoptBlob(store.paths, { path: source.copyTo ?? source.path, digest });
  publishLayer(store, { newName, name: layerName(chainId), record: { chainId, diffId, parent: null } });
  const created = timestamp();
  const history: HistoryEntry[] = [{ created, created_by: request.createdBy }];
  const config: Config = {
    created,
    architecture: architectures[arch()] ?? arch(),
    os: 'linux',
    ...(request.config === undefined ? {} : { config: request.config }),
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history,
  };
  const layers = [{ mediaType: layerMediaTypes[compression], digest, size: sizeBytes }];
  await store.name(writeManifest(store.paths, { config, layers, workspace }), reference);
  return store.image(reference);
}

/**
 * Brings the tar into the workspace, in a compression that OCI knows; where it is a file elsewhere, it is copied while
 * it is unpacked.
 */
async function spool(
  workspace: Workspace,
  { source, progress, signal }: ImportRequest,
): Promise<{ path: string; copyTo?: string }> {
  const path = join(workspace.path, 'rootfs.tar');
  if (source.kind === 'directory') {
    progress?.({ step: `reading ${source.path}` });
    await packDirectory(source.path, { path, signal });
    return { path };
  }
  if (source.kind === 'file') {
    if (!existsSync(source.path)) {
      throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `cannot import ${source.path}: there is no such file`, {
        hint: 'give a tar of a root file system, a directory, or - for standard input',
      });
    }
    // A pipe (<(...)) can be read only once.
    if (statSync(source.path).isFile()) return spoolFile(resolve(source.path), { path, signal });
    progress?.({ step: `reading ${source.path}` });
    await pipeline(createReadStream(source.path), createWriteStream(path, { mode: 0o600 }), { signal });
  } else {
    progress?.({ step: 'reading standard input' });
    await pipeline(source.stream, createWriteStream(path, { mode: 0o600 }), { signal });
  }
  if (isLayerCompression(compressionOfFile(path))) return { path };
  await undoCompression(path, { to: `${path}.plain`, signal });
  return { path: `${path}.plain` };
}

/** Decompresses what OCI has no media type for; shares the blocks of another file where the file system can. */
async function spoolFile(
  from: string,
  { path, signal }: { path: string; signal: AbortSignal | undefined },
): Promise<{ path: string; copyTo?: string }> {
  if (!isLayerCompression(compressionOfFile(from))) {
    await undoCompression(from, { to: path, signal });
    return { path };
  }
  try {
    await copyFile(from, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return { path };
  } catch {
    return { path: from, copyTo: path };
  }
}

/** A directory as a tar with everything an image keeps, in an order that does not depend on the disk. */
async function packDirectory(
  directory: string,
  { path, signal }: { path: string; signal: AbortSignal | undefined },
): Promise<void> {
  if (!statSync(directory).isDirectory())
    throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `${directory} is not a directory`);
  await runCommand('tar', [...canonicalTar, '--file', path, '--directory', directory, '.'], {
    signal,
  });
}

/** What a user means by a name on the command line: `-` is standard input. */
export function rootfsSource(name: string): RootfsSource {
  if (name === '-') return { kind: 'stream', stream: process.stdin };
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory()) return { kind: 'directory', path: name };
  return { kind: 'file', path: name };
}
