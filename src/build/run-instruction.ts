import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerId } from '../container/limits/cgroups.ts';
import { ImgbootError, errorMessage } from '../errors.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { runConfig } from './configure-stage.ts';
import { digestSources } from './copy-plan.ts';
import { runScript } from './dockerfile/run-script.ts';
import type { LayerStep } from './layer-factory.ts';
import type { MergedView, MountPoint } from './merged-view.ts';
import { OutputLines } from './output-lines.ts';
import { PrivateSpace } from '../system/private-space.ts';
import { RunMounts, placesOf, resolveMounts, type ResolvedMount, type RunParts } from './run-mounts.ts';
import { mountPoints, privateFiles, runStep, type RunMount, type RunRequest } from './run-step.ts';
import type { StageContext } from './stage-context.ts';

/** RUN: a command in a container over the merged view. */
export class RunInstructionStep implements LayerStep {
  readonly identity: unknown;
  readonly #context: StageContext;
  readonly #parts: RunParts;
  readonly #mounts: ResolvedMount[];

  private constructor(context: StageContext, parts: RunParts, mounts: ResolvedMount[]) {
    this.#context = context;
    this.#parts = parts;
    this.#mounts = mounts;
    this.identity = [
      runScript(parts.instruction),
      parts.state.shell,
      parts.scope.argumentsOf(parts.instruction),
      parts.instruction.network,
      // What a secret holds is no part of a key: it would be in the store for ever.
      mounts.map(({ mount, target, from }) => [
        mount,
        target,
        from === undefined ? null : digestSources([{ ...from, written: '' }], () => false),
      ]),
    ];
  }

  static async prepare(context: StageContext, parts: RunParts): Promise<RunInstructionStep> {
    if (parts.instruction.security === 'insecure') {
      throw new ImgbootError('IMGBOOT_DOCKERFILE', 'RUN --security=insecure is not supported', {
        hint: 'leave it away',
      });
    }
    return new RunInstructionStep(context, parts, await resolveMounts(context, parts));
  }

  mountPoints(root: string): readonly MountPoint[] {
    const own = placesOf(this.#mounts).map(({ path, kind }) => ({ path: canonicalPath(root, path), kind }));
    return [...mountPoints(root), ...own];
  }

  async change(view: MergedView, scratch: string): Promise<void> {
    // Whatever a secret comes into while it is used, the container's own configuration too, is in memory.
    using space = new PrivateSpace(join(scratch, 'private'));
    await using opened = new RunMounts(this.#context, space.path);
    const env = this.#parts.scope.runEnvironment;
    const mounts = privateFiles(space.path);
    for (const resolved of this.#mounts) mounts.push(...(await opened.open(resolved, env)));
    const config = runConfig(this.#parts.state);
    const lines = new OutputLines((text) => this.#context.say({ kind: 'output', text }));
    const { job, steps } = this.#context;
    const request: RunRequest = {
      env,
      user: config.User ?? '',
      workingDir: config.WorkingDir === undefined || config.WorkingDir === '' ? '/' : config.WorkingDir,
      args: this.#arguments(space.path, mounts),
      network: this.#network(),
      mounts,
      runtime: await this.#context.runtime(),
      id: containerId(job.owner, steps.done),
      scratch: join(space.path, 'run'),
      onOutput: (bytes) => lines.take(bytes),
    };
    const status = await runStep(view, request);
    lines.end();
    if (status === 0) return;
    if (job.onError === 'shell') await this.#enter(view, request, status);
    throw this.#failed(status, lines.last);
  }

  /** A shell where the command failed, for who sits at the terminal. What it changes is thrown away. */
  async #enter(view: MergedView, request: RunRequest, status: number): Promise<void> {
    const [shell = '/bin/sh'] = this.#parts.state.shell;
    const { say } = this.#context;
    say({
      kind: 'warning',
      text: `the command ended with exit status ${status}; ${shell} in the failed step, exit leaves it`,
    });
    const term = process.env['TERM'];
    try {
      await runStep(view, {
        ...request,
        args: [shell],
        env: [...request.env, ...(term === undefined ? [] : [`TERM=${term}`])],
        id: `${request.id}-shell`,
        scratch: `${request.scratch}-shell`,
        onOutput: undefined,
      });
    } catch (error) {
      say({ kind: 'warning', text: `the shell failed: ${errorMessage(error)}` });
    }
  }

  #arguments(space: string, mounts: RunMount[]): string[] {
    const script = runScript(this.#parts.instruction);
    if (script.kind === 'exec') return script.argv;
    if (script.kind === 'shell') return [...this.#parts.state.shell, script.script];
    const source = join(space, 'script');
    writeFileSync(source, script.content, { mode: 0o755 });
    const target = `/dev/pipes/${script.name}`;
    mounts.push({ target, kind: 'file', mount: { type: 'bind', source, options: ['rbind', 'ro'] } });
    return [target];
  }

  #network(): 'host' | 'none' {
    const { network } = this.#parts.instruction;
    const asked = network === 'default' ? this.#context.job.network : network;
    return asked === 'none' ? 'none' : 'host';
  }

  #failed(status: number, last: readonly string[]): ImgbootError {
    const words = last.map((line) => `\n    ${line}`).join('');
    return new ImgbootError(
      'IMGBOOT_STEP_FAILED',
      `the command ended with exit status ${status}${words === '' ? '' : `; it last printed:${words}`}`,
      { hint: 'imgboot build --on-error shell gives a shell where it failed' },
    );
  }
}
