import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { encodeReference } from '../image/reference.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { FileLock } from '../system/lock.ts';
import { runConfig } from './configure-stage.ts';
import type { RunInstruction } from './dockerfile/instruction.ts';
import { resolveMount, type Mount } from './dockerfile/mount.ts';
import type { StagePlan } from './dockerfile/plan-stages.ts';
import { runScript } from './dockerfile/run-script.ts';
import type { StageScope } from './dockerfile/stage-scope.ts';
import { digestSources } from './copy-plan.ts';
import type { LayerStep } from './layer-factory.ts';
import type { MergedView, MountPoint } from './merged-view.ts';
import { OutputLines } from './output-lines.ts';
import { mountPoints, privateFiles, runStep, type RunMount } from './run-step.ts';
import type { StageContext } from './stage-context.ts';
import type { StageState } from './stage-state.ts';

/** RUN: a command in a container over the merged view. */
export class RunInstructionStep implements LayerStep {
  readonly identity: unknown;
  readonly #context: StageContext;
  readonly #instruction: RunInstruction;
  readonly #scope: StageScope;
  readonly #state: StageState;
  readonly #mounts: ResolvedMount[];

  private constructor(context: StageContext, parts: RunParts, mounts: ResolvedMount[]) {
    this.#context = context;
    this.#instruction = parts.instruction;
    this.#scope = parts.scope;
    this.#state = parts.state;
    this.#mounts = mounts;
    this.identity = [
      runScript(parts.instruction),
      parts.state.shell,
      parts.scope.argumentsOf(parts.instruction),
      parts.instruction.network,
      // What a secret holds is no part of a key: it would be in the store for ever.
      mounts.map(({ mount, content }) => [
        mount.type,
        mount.target ?? mount.id,
        mount.source ?? null,
        content,
      ]),
    ];
  }

  static async prepare(context: StageContext, parts: RunParts): Promise<RunInstructionStep> {
    if (parts.instruction.security === 'insecure') {
      throw new ImgbootError('IMGBOOT_DOCKERFILE', 'RUN --security=insecure is not supported', {
        hint: 'leave it away',
      });
    }
    const mounts: ResolvedMount[] = [];
    for (const options of parts.instruction.mounts) {
      const mount = resolveMount(options, (word) => parts.scope.expand(word, parts.instruction));
      const source =
        mount.type === 'bind' || (mount.type === 'cache' && mount.from !== undefined)
          ? mount.from === undefined
            ? context.files
            : context.views.source(await context.findState(parts.plan.sources.get(mount.from)!))
          : undefined;
      const file = source?.find(mount.source ?? '');
      if (source !== undefined && file === undefined) {
        throw new ImgbootError(
          'IMGBOOT_DOCKERFILE',
          `--mount has the source ${mount.source ?? '/'}, which is not in ${mount.from ?? 'the build context'}`,
        );
      }
      const content =
        source === undefined || file === undefined
          ? null
          : digestSources([{ source, file, written: '' }], () => false);
      mounts.push({
        mount,
        content,
        hostPath: source === undefined || file === undefined ? undefined : join(source.root, file.path),
        isFile: file?.type === 'file',
      });
    }
    return new RunInstructionStep(context, parts, mounts);
  }

  mountPoints(root: string): readonly MountPoint[] {
    const targets = this.#mounts.filter(({ mount }) => mount.env === undefined || mount.target !== undefined);
    const own = targets.map(({ mount, isFile }): MountPoint => ({
      path: canonicalPath(root, this.#target(mount)),
      kind: isFile || mount.type === 'secret' ? 'file' : 'directory',
    }));
    return [...mountPoints(root, usualFiles), ...own];
  }

  async change(view: MergedView, scratch: string): Promise<void> {
    await using locks = new AsyncDisposableStack();
    const environment = this.#scope.runEnvironment;
    const mounts = privateFiles(join(scratch, 'etc'));
    for (const resolved of this.#mounts)
      mounts.push(...(await this.#hostMount(resolved, { scratch, environment, locks })));
    const lines = new OutputLines((line) => this.#context.say(`  ${line}`));
    const config = runConfig(this.#state);
    const run = {
      env: environment,
      user: config.User ?? '',
      workingDir: config.WorkingDir === undefined || config.WorkingDir === '' ? '/' : config.WorkingDir,
    };
    const status = await runStep(view, {
      ...run,
      args: this.#arguments(scratch, mounts),
      network: this.#network(),
      mounts,
      runtime: await this.#context.runtime(),
      id: `imgboot-${this.#context.job.newLayerPrefix.replace(/[^0-9a-f]/g, '')}-${this.#context.steps.done}`,
      scratch: join(scratch, 'run'),
      onOutput: (bytes) => lines.take(bytes),
    });
    lines.end();
    if (status !== 0) throw this.#failed(status, lines.last);
  }

  #arguments(scratch: string, mounts: RunMount[]): string[] {
    const script = runScript(this.#instruction);
    if (script.kind === 'exec') return script.argv;
    if (script.kind === 'shell') return [...this.#state.shell, script.script];
    const source = join(scratch, 'script');
    writeFileSync(source, script.content, { mode: 0o755 });
    const target = `/dev/pipes/${script.name}`;
    mounts.push({ target, kind: 'file', mount: { type: 'bind', source, options: ['rbind', 'ro'] } });
    return [target];
  }

  #network(): 'host' | 'none' {
    const asked =
      this.#instruction.network === 'default' ? this.#context.job.network : this.#instruction.network;
    return asked === 'none' ? 'none' : 'host';
  }

  /** Where a mount appears. */
  #target(mount: Mount): string {
    const directory = runConfig(this.#state).WorkingDir;
    const usual = mount.type === 'secret' ? `/run/secrets/${mount.id}` : '/';
    return posix.resolve(
      directory === undefined || directory === '' ? '/' : directory,
      mount.target ?? usual,
    );
  }

  async #hostMount(
    { mount, hostPath, isFile }: ResolvedMount,
    place: { scratch: string; environment: string[]; locks: AsyncDisposableStack },
  ): Promise<RunMount[]> {
    const target = this.#target(mount);
    switch (mount.type) {
      case 'tmpfs':
        return [
          {
            target,
            kind: 'directory',
            mount: {
              type: 'tmpfs',
              source: 'tmpfs',
              options: [
                'nosuid',
                'nodev',
                'mode=1777',
                ...(mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]),
              ],
            },
          },
        ];
      case 'bind':
        // A writable bind is a copy nobody keeps, as buildkit has it; we show it read-only and say so.
        return [
          {
            target,
            kind: isFile ? 'file' : 'directory',
            mount: { type: 'bind', source: hostPath!, options: ['rbind', 'ro', 'nosuid', 'nodev'] },
          },
        ];
      case 'cache':
        return [await this.#cache(mount, target, place.locks)];
      case 'secret':
        return this.#secret(mount, { target, ...place });
      case 'ssh':
        if (!mount.required) return [];
        throw new ImgbootError(
          'IMGBOOT_DOCKERFILE',
          'RUN --mount=type=ssh needs an agent, and none can be given',
          { hint: 'give the key as a secret' },
        );
    }
  }

  /** A directory of the store that outlives the build. `locked` waits for the others that use it. */
  async #cache(mount: Mount, target: string, locks: AsyncDisposableStack): Promise<RunMount> {
    const places = join(this.#context.store.paths.cache, 'mounts');
    mkdirSync(places, { recursive: true, mode: 0o700 });
    let source = join(places, encodeReference(mount.id ?? target));
    if (mount.sharing === 'private') {
      for (let copy = 0; ; copy += 1) {
        const lock = FileLock.tryAcquire(`${source}.${copy}.lock`, 'exclusive');
        if (lock === undefined) continue;
        locks.use(lock);
        source = `${source}.${copy}`;
        break;
      }
    } else {
      locks.use(
        await FileLock.acquire(`${source}.lock`, mount.sharing === 'locked' ? 'exclusive' : 'shared'),
      );
    }
    if (!existsSync(source)) {
      mkdirSync(source, { recursive: true });
      chmodSync(source, mount.mode ?? 0o755);
      chownSync(source, mount.uid ?? 0, mount.gid ?? 0);
    }
    return {
      target,
      kind: 'directory',
      mount: { type: 'bind', source, options: ['rbind', mount.readOnly ? 'ro' : 'rw', 'nosuid', 'nodev'] },
    };
  }

  #secret(
    mount: Mount,
    { target, scratch, environment }: { target: string; scratch: string; environment: string[] },
  ): RunMount[] {
    const given = this.#context.job.secrets.find(({ id }) => id === mount.id);
    if (given === undefined) {
      if (!mount.required) return [];
      throw new ImgbootError('IMGBOOT_NO_SECRET', `the secret ${mount.id} is required and was not given`, {
        hint: `imgboot build --secret id=${mount.id},src=FILE`,
      });
    }
    const bytes = 'value' in given ? Buffer.from(given.value) : readFileSync(given.path);
    if (mount.env !== undefined)
      environment.push(
        `${mount.env === '' ? mount.id : mount.env}=${bytes.toString('utf8').replace(/\n$/, '')}`,
      );
    if (mount.env !== undefined && mount.target === undefined) return [];
    mkdirSync(join(scratch, 'secrets'), { recursive: true, mode: 0o700 });
    const source = join(scratch, 'secrets', encodeReference(mount.id ?? ''));
    writeFileSync(source, bytes, { mode: 0o400 });
    chmodSync(source, mount.mode ?? 0o400);
    chownSync(source, mount.uid ?? 0, mount.gid ?? 0);
    return [
      {
        target,
        kind: 'file',
        mount: { type: 'bind', source, options: ['rbind', 'ro', 'nosuid', 'nodev', 'noexec'] },
      },
    ];
  }

  #failed(status: number, last: readonly string[]): ImgbootError {
    const words = last.map((line) => `\n    ${line}`).join('');
    return new ImgbootError(
      'IMGBOOT_STEP_FAILED',
      `the command ended with exit status ${status}${words === '' ? '' : `; it last printed:${words}`}`,
      {
        hint: 'imgboot build --on-error shell gives a shell where it failed',
      },
    );
  }
}

interface RunParts {
  instruction: RunInstruction;
  scope: StageScope;
  state: StageState;
  plan: StagePlan;
}

interface ResolvedMount {
  mount: Mount;
  /** The digest of what a bind shows. */
  content: string | null;
  hostPath: string | undefined;
  isFile: boolean;
}

/** What every RUN has mounted, for its places only. */
const usualFiles = ['/etc/resolv.conf', '/etc/hosts'].map((target): RunMount => ({
  target,
  kind: 'file',
  mount: { type: 'bind', source: '', options: [] },
}));
