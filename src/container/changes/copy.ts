import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { ImgbootError } from '../../errors.ts';
import type { Store } from '../../store/store.ts';
import { jobModule, runIsolated } from '../../system/isolate.ts';
import { FileLock } from '../../system/lock.ts';
import type { OperationOptions } from '../../system/progress.ts';
import type { CopyInJob } from './copy-in.job.ts';
import type { CopyOutJob } from './copy-out.job.ts';
import type { ContainerView } from './copy-root.ts';
import type { Container } from '../record.ts';
import { isRunning, readStart } from '../state.ts';
import { prepareVolumes } from '../volume/volume-use.ts';

export interface CopyOptions extends OperationOptions {
  /** Keep owners and extended attributes; everything is root's otherwise. */
  archive: boolean;
  /** Copy what a symbolic link leads to, in the place of the link. */
  follow: boolean;
}

/** Whether a path asks for what is in a directory, and not for the directory. */
export function meansContents(path: string): boolean {
  return path === '.' || path.endsWith('/.');
}

/**
 * Copies a file or directory of a container, running or not, to a path of this host, as cp does; `-` writes a tar to
 * standard output. Links are followed inside the container's root only.
 * @throws IMGBOOT_NO_SUCH_FILE, IMGBOOT_NOT_A_DIRECTORY, CommandFailed
 */
export async function copyFromContainer(
  store: Store,
  container: Container,
  request: CopyOptions & { path: string; destination: string },
): Promise<void> {
  const { path, destination, archive, follow } = request;
  await withView(store, container, request, async (view) => {
    if ((archive || destination === '-') && 'pid' in view && view.owners !== undefined)
      throw new ImgbootError(
        'IMGBOOT_CANNOT_MAP',
        `the files of ${container.record.name}, which has a user namespace and runs, have other owners here`,
        { hint: 'stop it first, or copy to a path without --archive' },
      );
    const job: CopyOutJob = {
      view,
      path,
      archive,
      follow,
      destination: destination === '-' ? undefined : hostPlace(destination),
    };
    await runIsolated<CopyOutJob, void>(jobModule(import.meta.url, 'copy-out.job'), job, {
      ...request,
      ...(destination === '-' ? { stdout: 'inherit' } : {}),
    });
  });
}

/**
 * Copies a file or directory of this host into a container, running or not, as cp does; `-` unpacks a tar from
 * standard input into a directory. Links in the container lead nowhere but to places in its root.
 * @throws IMGBOOT_NO_SUCH_FILE, IMGBOOT_NOT_A_DIRECTORY, IMGBOOT_BAD_TAR, CommandFailed
 */
export async function copyToContainer(
  store: Store,
  container: Container,
  request: CopyOptions & { source: string; path: string },
): Promise<void> {
  const { source, path, archive, follow } = request;
  const from = source === '-' ? undefined : hostSource(source, follow);
  await withView(store, container, request, async (view) => {
    await runIsolated<CopyInJob, void>(
      jobModule(import.meta.url, 'copy-in.job'),
      { view, source: from, path, archive },
      { ...request, terminal: source === '-' },
    );
  });
}

/** Nobody starts or removes a container that does not run while its files are shown. */
async function withView(
  store: Store,
  container: Container,
  options: OperationOptions,
  use: (view: ContainerView) => Promise<void>,
): Promise<void> {
  const { record, paths } = container;
  const common = { store: store.paths.root, id: record.id };
  if (isRunning(paths)) {
    const { userNamespace } = record.security;
    const owners = userNamespace.kind === 'mapped' ? userNamespace : undefined;
    return await use({ ...common, pid: readStart(paths)!.process.pid, owners });
  }
  using _lock = await FileLock.acquire(paths.lock, 'exclusive', { signal: options.signal });
  const volumes = await prepareVolumes(store, container, options);
  await use({ ...common, volumes });
}

/** Where on this host something goes: into a directory that is there, or to a name in one. */
function hostPlace(destination: string): NonNullable<CopyOutJob['destination']> {
  const path = resolve(destination);
  const stats = statSync(path, { throwIfNoEntry: false });
  const kind = stats === undefined ? 'missing' : stats.isDirectory() ? 'directory' : 'file';
  const parent = dirname(path);
  if (kind === 'missing' && statSync(parent, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `there is no directory ${parent}`, {
      hint: `make it first: mkdir -p ${parent}`,
    });
  return { path, kind, mustBeDirectory: destination.endsWith('/') };
}

function hostSource(source: string, follow: boolean): NonNullable<CopyInJob['source']> {
  const path = resolve(source);
  const through = follow || source.endsWith('/') || meansContents(source);
  const stats = (through ? statSync : lstatSync)(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `there is no ${source}`, {
      hint: 'check the path; what is in a container is written CONTAINER:PATH',
    });
  const isDirectory = stats.isDirectory();
  if (!isDirectory && (source.endsWith('/') || meansContents(source)))
    throw new ImgbootError('IMGBOOT_NOT_A_DIRECTORY', `${path} is not a directory`, {
      hint: 'leave what follows its name away',
    });
  return { path, name: basename(path), isDirectory, contents: meansContents(source), follow };
}

/** An empty directory for a copy to be made in, on the file system of its place. */
export function makeAside(parent: string, name: string): string {
  const aside = `${parent}/.imgboot-${process.pid}-${name}`;
  mkdirSync(aside, { mode: 0o700 });
  return aside;
}
