import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../../image/digest.ts';
import type { Config } from '../../image/manifest.ts';
import { storedName } from '../../image/reference.ts';
import { addChangedImage } from '../../store/add-change.ts';
import type { Image } from '../../store/image.ts';
import type { Store } from '../../store/store.ts';
import type { Workspace } from '../../store/workspace.ts';
import { snapshotSubvolume } from '../../system/btrfs.ts';
import { runCommand } from '../../system/exec.ts';
import { FileLock } from '../../system/lock.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { epochSeconds, timestamp } from '../../system/timestamp.ts';
import type { DiffResult } from './diff.job.ts';
import { diffJob, runDiff } from './diff.ts';
import { freezeContainer, type Thaw } from './frozen.ts';
import type { Container, ContainerRecord } from '../record.ts';

export interface CommitRequest extends OperationOptions {
  /** The new image's name; none where undefined. */
  reference: string | undefined;
  /** Stop the container's processes while its files are read. */
  pause: boolean;
  /** Changes the run-time part of the config. */
  configure: (config: Config) => Config;
  message: string | undefined;
  author: string | undefined;
}

/**
 * Makes an image of a container: its image, its command and environment, and a layer of what it has changed. What is
 * mounted in it, and the files that say who and where it is, are no part of that. All or nothing.
 * @returns the image's ID
 * @throws IMGBOOT_NO_SUCH_IMAGE where its own is gone, IMGBOOT_BAD_LAYER for a file that no layer can have
 */
export async function commitContainer(
  store: Store,
  container: Container,
  request: CommitRequest,
): Promise<Digest> {
  const name = request.reference === undefined ? undefined : storedName(request.reference);
  const { record, paths } = container;
  const base = store.image(record.image.id);
  // What cannot be is refused before anything is read.
  const config = request.configure(configOf(base, record));
  using _lock = await FileLock.acquire(paths.lock, 'exclusive', { signal: request.signal });
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', request);
  request.progress?.({ step: `reading what ${record.name} has changed` });
  const made = await readChanges(store, container, workspace, request);
  const created = timestamp();
  const author = request.author === undefined ? {} : { author: request.author };
  return await addChangedImage(store, {
    base,
    config: { ...config, created, ...author },
    history: {
      created,
      created_by: record.args.join(' '),
      ...author,
      ...(request.message === undefined ? {} : { comment: request.message }),
    },
    layer: made.layer === undefined ? undefined : { made: made.layer, ...layerPlaces(workspace) },
    workspace,
    reference: name,
  });
}

/** Where the layer is made. */
function layerPlaces(workspace: Workspace): { tar: string; newName: string } {
  return { tar: join(workspace.path, 'layer.tar'), newName: workspace.newLayerName(0) };
}

/** The container goes on as soon as its files are read; with btrfs, as soon as there is a snapshot of them. */
async function readChanges(
  store: Store,
  container: Container,
  workspace: Workspace,
  { pause, signal }: CommitRequest,
): Promise<DiffResult> {
  const thaw: Thaw = pause ? await freezeContainer(container) : () => {};
  try {
    const job = diffJob(store, container, workspace.path);
    if (job.driver === 'btrfs') {
      const snapshot = join(store.paths.layers, workspace.newLayerName(1));
      snapshotSubvolume(job.changed, snapshot);
      job.changed = snapshot;
      thaw();
    } else if (!pause) {
      job.changed = await copyLive(job.changed, workspace, signal);
    }
    const epoch = epochSeconds();
    return await runDiff(
      {
        ...job,
        latestSeconds: epoch === undefined ? undefined : BigInt(epoch),
        layer: layerPlaces(workspace),
      },
      { signal },
    );
  } finally {
    thaw();
  }
}

/** A copy of a directory that somebody writes to meanwhile: what goes while it is read is not in it. */
async function copyLive(
  directory: string,
  workspace: Workspace,
  signal: AbortSignal | undefined,
): Promise<string> {
  const [tar, copy] = [join(workspace.path, 'live.tar'), join(workspace.path, 'live')];
  mkdirSync(copy);
  const kept = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
  // tar(1): 1 is for files that differ from what they were when it began.
  await runCommand(
    'tar',
    ['--create', '--format=posix', '--sparse', ...kept, '--file', tar, '-C', directory, '.'],
    {
      okStatuses: [0, 1],
      signal,
    },
  );
  await runCommand('tar', ['--extract', '--preserve-permissions', ...kept, '--file', tar, '-C', copy], {
    signal,
  });
  rmSync(tar);
  return copy;
}

/** The image's config with what the container was run with, as docker and podman have it. */
function configOf(base: Image, record: ContainerRecord): Config {
  const config = structuredClone(base.config);
  const { Entrypoint: _entrypoint, Cmd: _command, ...rest } = config.config ?? {};
  config.config = {
    ...rest,
    Env: record.env,
    WorkingDir: record.workingDir,
    ...(record.user === '' ? {} : { User: record.user }),
    ...(Object.keys(record.labels).length === 0 ? {} : { Labels: record.labels }),
    // A machine's init is no command of the image's.
    ...(record.boot
      ? commandOf(base.config.config ?? {})
      : commandOf({ Entrypoint: record.entrypoint, Cmd: record.command })),
  };
  return config;
}

function commandOf({
  Entrypoint,
  Cmd,
}: Pick<NonNullable<Config['config']>, 'Entrypoint' | 'Cmd'>): Pick<
  NonNullable<Config['config']>,
  'Entrypoint' | 'Cmd'
> {
  return {
    ...(Entrypoint === undefined || Entrypoint.length === 0 ? {} : { Entrypoint }),
    ...(Cmd === undefined || Cmd.length === 0 ? {} : { Cmd }),
  };
}
