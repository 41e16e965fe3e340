import {
  closeSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs';
import { basename, isAbsolute, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sweepCgroups } from '../container/limits/cgroups.ts';
import { ImgbootError } from '../errors.ts';
import { REF_NAME, type Descriptor } from '../image/manifest.ts';
import { storedName } from '../image/reference.ts';
import { detectCompression } from '../layer/decompress.ts';
import { isTarHeader } from '../layer/tar-reader.ts';
import type { Image } from '../store/image.ts';
import { readIndex } from '../store/index-file.ts';
import type { Store } from '../store/store.ts';
import type { Workspace } from '../store/workspace.ts';
import { runCommand } from '../system/exec.ts';
import { jobModule, runIsolated, type IsolationOptions } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { BuildJob, BuiltImage } from './build.job.ts';
import { decodeLine, type BuildLine } from './build-line.ts';
import { Builder } from './builder.ts';

/** What COPY and ADD read: a directory; or what comes on a stream: a tar of one (plain or compressed), or a Dockerfile. */
export type ContextSource =
  | { kind: 'directory'; path: string }
  | { kind: 'stdin'; stream: Readable }
  | { kind: 'dockerfile'; stream: Readable };

export interface BuildRequest
  extends
    OperationOptions,
    Omit<
      BuildJob,
      | 'store'
      | 'scratch'
      | 'owner'
      | 'cachedOnly'
      | 'digests'
      | 'newLayerPrefix'
      | 'dockerfile'
      | 'context'
      | 'ignore'
    > {
  context: ContextSource;
  /** The Dockerfile; `Dockerfile` or `Containerfile` of the context when undefined. */
  file: string | undefined;
  /** The image's names; it stays without one when there is none. */
  references: string[];
  /** Gets what the build says, line by line. */
  onLine: (line: BuildLine) => void;
}

/** Builds an image from a Dockerfile into the store. All or nothing, but for what the cache remembers. */
export async function buildImage(store: Store, request: BuildRequest): Promise<Image> {
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  const context = await openContext(workspace, request);
  const { progress, signal, onLine, references, file: _file, context: _context, ...rest } = request;
  const job: BuildJob = {
    ...rest,
    ...context,
    store: store.paths.root,
    scratch: workspace.path,
    owner: { pid: process.pid, workspace: basename(workspace.path) },
    newLayerPrefix: workspace.newLayerName(0).replace(/0$/, ''),
    cachedOnly: false,
    digests: [],
  };
  const cached = await fromCache(store, job, onLine);
  const built =
    'descriptor' in cached
      ? cached
      : await inContainers(
          { ...job, digests: cached.digests },
          { progress, signal, onLine: (line) => onLine(decodeLine(line)) },
        );
  if (references.length === 0) await store.keep(built.descriptor);
  for (const reference of references)
    if (!isNamed(store, built.descriptor, reference)) await store.name(built.descriptor, reference);
  return store.image(references[0] ?? built.id);
}

/**
 * The image, where every step of it is in the cache: no process is started and nothing is mounted. What it cannot do
 * is left to {@link inContainers}; what it has hashed need not be again.
 */
async function fromCache(
  store: Store,
  job: BuildJob,
  onLine: (line: BuildLine) => void,
): Promise<BuiltImage | Pick<BuildJob, 'digests'>> {
  if (!job.useCache || job.pull) return { digests: [] };
  const said: BuildLine[] = [];
  const context = { say: (line: string) => said.push(decodeLine(line)), progress: () => {} };
  const tell = (): void => {
    for (const line of said) onLine(line);
  };
  const builder = new Builder(store, { ...job, cachedOnly: true }, context);
  try {
    const built = await builder.build();
    tell();
    builder.digests.save();
    return built;
  } catch (error) {
    if (!(error instanceof ImgbootError)) return { digests: builder.digests.added };
    // Nobody else could do it, either.
    tell();
    throw error;
  }
}

/** Carries out the steps in a process of its own, with a mount namespace of its own. */
async function inContainers(job: BuildJob, options: IsolationOptions): Promise<BuiltImage> {
  await sweepCgroups();
  try {
    return await runIsolated<BuildJob, BuiltImage>(jobModule(import.meta.url, 'build.job'), job, {
      ...options,
      ownProcesses: true,
      terminal: job.onError === 'shell',
    });
  } finally {
    // A runtime that was stopped has left its own.
    await sweepCgroups(job.owner);
  }
}

function isNamed(store: Store, { digest }: Descriptor, reference: string): boolean {
  const name = storedName(reference);
  return readIndex(store.paths).manifests.some(
    (other) => other.digest === digest && other.annotations?.[REF_NAME] === name,
  );
}

/** Brings the context into a directory, and finds the Dockerfile and ignore file. */
async function openContext(
  workspace: Workspace,
  { context, file, signal }: BuildRequest,
): Promise<Pick<BuildJob, 'context' | 'dockerfile' | 'ignore'>> {
  const directory = context.kind === 'directory' ? resolve(context.path) : join(workspace.path, 'context');
  if (
    context.kind === 'directory' &&
    statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true
  ) {
    throw new ImgbootError('IMGBOOT_USAGE', `the build context ${context.path} is no directory`, {
      hint: 'give the directory that COPY reads from, or - for a tar on standard input',
    });
  }
  if (context.kind !== 'directory') mkdirSync(directory);
  if (context.kind === 'stdin') {
    const stream = join(workspace.path, 'stdin');
    await pipeline(context.stream, createWriteStream(stream, { mode: 0o600 }), { signal });
    // As docker: standard input is a tar, or else a Dockerfile without a context.
    if (isArchiveFile(stream))
      await runCommand('tar', ['--extract', '--file', stream, '--directory', directory, '--no-same-owner'], {
        signal,
      });
    else renameSync(stream, join(directory, 'Dockerfile'));
  }
  if (context.kind === 'dockerfile') {
    await pipeline(context.stream, createWriteStream(join(directory, 'Dockerfile'), { mode: 0o600 }), {
      signal,
    });
  }
  const path = findDockerfile(directory, context.kind === 'directory' ? undefined : directory, file);
  const own = `${path}.dockerignore`;
  const ignorePath = existsSync(own) ? own : join(directory, '.dockerignore');
  return {
    context: directory,
    dockerfile: { text: readFileSync(path, 'utf8'), name: file ?? basename(path) },
    ignore: existsSync(ignorePath)
      ? { text: readFileSync(ignorePath, 'utf8'), name: basename(ignorePath) }
      : undefined,
  };
}

function isArchiveFile(path: string): boolean {
  const start = Buffer.alloc(512);
  const fd = openSync(path, 'r');
  try {
    const block = start.subarray(0, readSync(fd, start));
    return isTarHeader(block) || detectCompression(block) !== 'none';
  } finally {
    closeSync(fd);
  }
}

function findDockerfile(directory: string, base: string | undefined, file: string | undefined): string {
  const candidates =
    file === undefined
      ? ['Dockerfile', 'Containerfile'].map((name) => join(directory, name))
      : [isAbsolute(file) ? file : resolve(base ?? '.', file), join(directory, file)];
  const found = candidates.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (found !== undefined) return found;
  throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `there is no ${file ?? 'Dockerfile'} in ${directory}`, {
    hint: 'name it with -f',
  });
}
