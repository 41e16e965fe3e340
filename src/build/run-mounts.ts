import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join, posix } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { encodeReference } from '../image/reference.ts';
import { FileLock } from '../system/lock.ts';
import { applyCopy } from './apply-copy.ts';
import { BindView } from './bind-view.ts';
import { runConfig } from './configure-stage.ts';
import { planCopy } from './copy-plan.ts';
import { resolveMount, type Mount } from './dockerfile/mount.ts';
import type { RunInstruction } from './dockerfile/instruction.ts';
import type { StagePlan } from './dockerfile/plan-stages.ts';
import type { StageScope } from './dockerfile/stage-scope.ts';
import type { FileSource, SourceFile } from './file-source.ts';
import type { MountPoint } from './merged-view.ts';
import type { RunMount } from './run-step.ts';
import type { StageContext } from './stage-context.ts';
import type { StageState } from './stage-state.ts';

/** A `RUN --mount`, and what it shows. */
export interface ResolvedMount {
  mount: Mount;
  /** Where it appears in the image. */
  target: string;
  /** What a bind shows, or a new cache begins with. */
  from: { source: FileSource; file: SourceFile } | undefined;
}

/** A RUN with what it is carried out in. */
export interface RunParts {
  instruction: RunInstruction;
  scope: StageScope;
  state: StageState;
  plan: StagePlan;
}

/** Finds what the mounts of a RUN show. @throws IMGBOOT_DOCKERFILE for a source that is not there */
export async function resolveMounts(context: StageContext, parts: RunParts): Promise<ResolvedMount[]> {
  const resolved: ResolvedMount[] = [];
  for (const options of parts.instruction.mounts) {
    const mount = resolveMount(options, (word) => parts.scope.expand(word, parts.instruction));
    resolved.push({
      mount,
      target: targetOf(mount, parts.state),
      from: await findContent(context, parts, mount),
    });
  }
  return resolved;
}

/** The places at which mounts appear. */
export function placesOf(mounts: readonly ResolvedMount[]): MountPoint[] {
  return mounts
    .filter(({ mount }) => mount.env === undefined || mount.target !== undefined)
    .map(({ mount, target, from }) => ({
      path: target,
      kind: from?.file.type === 'file' || mount.type === 'secret' ? 'file' : 'directory',
    }));
}

/** What the mounts of one RUN need while it runs; disposal gives all of it back. */
export class RunMounts implements AsyncDisposable {
  readonly #context: StageContext;
  /** In memory. */
  readonly #space: string;
  readonly #held = new AsyncDisposableStack();
  #count = 0;

  constructor(context: StageContext, space: string) {
    this.#context = context;
    this.#space = space;
  }

  /** Makes what a mount shows. A secret for the environment is put into `environment`. */
  async open({ mount, target, from }: ResolvedMount, environment: string[]): Promise<RunMount[]> {
    this.#count += 1;
    switch (mount.type) {
      case 'tmpfs':
        return [{ target, kind: 'directory', mount: tmpfs(mount) }];
      case 'bind':
        return [this.#bind(mount, target, from!)];
      case 'cache':
        return [await this.#cache(mount, target, from)];
      case 'secret':
        return this.#secret(mount, target, environment);
      case 'ssh':
        if (!mount.required) return [];
        throw new ImgbootError(
          'IMGBOOT_DOCKERFILE',
          'RUN --mount=type=ssh needs an agent, and none can be given',
          { hint: 'give the key as a secret' },
        );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }

  #bind(mount: Mount, target: string, from: NonNullable<ResolvedMount['from']>): RunMount {
    const view = this.#held.use(
      new BindView(from.source, {
        file: from.file,
        writable: !mount.readOnly,
        scratch: join(this.#space, `bind-${this.#count}`),
      }),
    );
    return {
      target,
      kind: from.file.type === 'file' ? 'file' : 'directory',
      mount: {
        type: 'bind',
        source: view.path,
        options: ['rbind', mount.readOnly ? 'ro' : 'rw', 'nosuid', 'nodev'],
      },
    };
  }

  /** A directory of the store that outlives the build. `locked` waits for the others that use it. */
  async #cache(mount: Mount, target: string, from: ResolvedMount['from']): Promise<RunMount> {
    const places = this.#context.store.paths.cacheMounts;
    mkdirSync(places, { recursive: true, mode: 0o700 });
    const { path, lock } = await claimCache(join(places, encodeReference(mount.id ?? target)), mount.sharing);
    this.#held.use(lock);
    if (!existsSync(path)) {
      // Two builds that share it may both come to this.
      using _making = FileLock.acquireSync(`${path}.new.lock`, 'exclusive');
      if (!existsSync(path)) makeCache(path, mount, from);
    }
    return {
      target,
      kind: 'directory',
      mount: {
        type: 'bind',
        source: path,
        options: ['rbind', mount.readOnly ? 'ro' : 'rw', 'nosuid', 'nodev'],
      },
    };
  }

  #secret(mount: Mount, target: string, environment: string[]): RunMount[] {
    const given = this.#context.job.secrets.find(({ id }) => id === mount.id);
    if (given === undefined) {
      if (!mount.required) return [];
      throw new ImgbootError('IMGBOOT_NO_SECRET', `the secret ${mount.id} is required and was not given`, {
        hint: `imgboot build --secret id=${mount.id},src=FILE`,
      });
    }
    const bytes = 'value' in given ? Buffer.from(given.value) : readSecret(given);
    if (mount.env !== undefined) {
      const name = mount.env === '' ? mount.id : mount.env;
      environment.push(`${name}=${bytes.toString('utf8').replace(/\n$/, '')}`);
      if (mount.target === undefined) return [];
    }
    const source = join(this.#space, `secret-${this.#count}`);
    writeFileSync(source, bytes, { mode: 0o400 });
    chownSync(source, mount.uid ?? 0, mount.gid ?? 0);
    chmodSync(source, mount.mode ?? 0o400);
    return [
      {
        target,
        kind: 'file',
        mount: { type: 'bind', source, options: ['rbind', 'ro', 'nosuid', 'nodev', 'noexec'] },
      },
    ];
  }
}

async function findContent(
  context: StageContext,
  { plan }: RunParts,
  mount: Mount,
): Promise<ResolvedMount['from']> {
  if (mount.type !== 'bind' && (mount.type !== 'cache' || mount.from === undefined)) return undefined;
  const source =
    mount.from === undefined
      ? context.files
      : context.views.source(await context.findState(plan.sources.get(mount.from)!));
  const path = posix.normalize((mount.source ?? '').replace(/^\/+/, '') || '.');
  const where = mount.from ?? 'the build context';
  if (path === '..' || path.startsWith('../'))
    throw new ImgbootError('IMGBOOT_DOCKERFILE', `the source of --mount climbs out of ${where}`);
  const file = source.find(path === '.' ? '' : path);
  if (file?.type === 'file' || file?.type === 'directory') return { source, file };
  throw new ImgbootError(
    'IMGBOOT_DOCKERFILE',
    `--mount has the source ${mount.source ?? '/'}, which is not in ${where}`,
    { hint: 'check the path and .dockerignore' },
  );
}

function targetOf(mount: Mount, state: StageState): string {
  const directory = runConfig(state).WorkingDir;
  const usual = mount.type === 'secret' ? `/run/secrets/${mount.id}` : '/';
  return posix.resolve(directory === undefined || directory === '' ? '/' : directory, mount.target ?? usual);
}

function tmpfs({ sizeBytes }: Mount): RunMount['mount'] {
  const size = sizeBytes === undefined ? [] : [`size=${sizeBytes}`];
  return { type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=1777', ...size] };
}

/** The directory of a cache for this step, and the lock on it. */
async function claimCache(
  path: string,
  sharing: Mount['sharing'],
): Promise<{ path: string; lock: FileLock }> {
  if (sharing !== 'private') {
    const mode = sharing === 'locked' ? 'exclusive' : 'shared';
    return { path, lock: await FileLock.acquire(`${path}.lock`, mode) };
  }
  for (let copy = 0; ; copy += 1) {
    const lock = FileLock.tryAcquire(`${path}.${copy}.lock`, 'exclusive');
    if (lock !== undefined) return { path: `${path}.${copy}`, lock };
  }
}

/** Whole or absent: a build that is killed meanwhile leaves none that is half filled. */
function makeCache(path: string, mount: Mount, from: ResolvedMount['from']): void {
  const aside = `${path}.${process.pid}-${Date.now()}.new`;
  mkdirSync(aside);
  if (from !== undefined) {
    const target = {
      destination: '/',
      isDirectory: true,
      owner: undefined,
      chmod: undefined,
      parents: false,
      excluded: () => false,
    };
    applyCopy(aside, planCopy([{ ...from, written: '' }], target));
  }
  chownSync(aside, mount.uid ?? 0, mount.gid ?? 0);
  chmodSync(aside, mount.mode ?? 0o755);
  renameSync(aside, path);
}

function readSecret({ id, path }: { id: string; path: string }): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_NO_SECRET', `the secret ${id} cannot be read from ${path}`, {
      cause,
      hint: `imgboot build --secret id=${id},src=FILE`,
    });
  }
}
