import { posix } from 'node:path';
import { resolveUser } from '../container/user.ts';
import { ImgbootError, errorMessage } from '../errors.ts';
import { digestOf } from '../image/digest.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { explainNoSpace } from '../system/no-space.ts';
import { RootedTree } from '../system/rooted.ts';
import { timestamp } from '../system/timestamp.ts';
import { makeDirectory } from './apply-copy.ts';
import { configureStage, runConfig, setEnv, type ConfigInstruction } from './configure-stage.ts';
import { CopyStep } from './copy-step.ts';
import { locate } from './dockerfile/dockerfile-error.ts';
import type { Instruction, WorkdirInstruction } from './dockerfile/instruction.ts';
import type { StagePlan } from './dockerfile/plan-stages.ts';
import { StageScope } from './dockerfile/stage-scope.ts';
import { DEFAULT_PATH } from './run-step.ts';
import { RunInstructionStep } from './run-instruction.ts';
import type { StageContext } from './stage-context.ts';
import { pushLayer, type StageState } from './stage-state.ts';
import type { LayerStep } from './layer-factory.ts';

/** Docker's limit, too: as many lower directories fit overlayfs's one page of mount options. */
const MAX_LAYERS = 127;

/** Carries out the instructions of one stage, one after the other, on its state. */
export class StageBuilder {
  readonly #context: StageContext;
  readonly #plan: StagePlan;
  readonly #state: StageState;
  readonly #scope: StageScope;

  constructor(context: StageContext, plan: StagePlan, state: StageState) {
    this.#context = context;
    this.#plan = plan;
    this.#state = state;
    // As docker: a stage that begins without one shall be able to add to it.
    if (runConfig(state).Env?.some((pair) => pair.startsWith('PATH=')) !== true)
      setEnv(state, 'PATH', DEFAULT_PATH);
    this.#scope = new StageScope({
      escape: context.escape,
      globals: context.globals,
      buildArgs: context.job.buildArgs,
      environment: runConfig(state).Env ?? [],
      parent: plan.base.kind === 'stage' ? context.scopes.get(plan.base.index) : undefined,
    });
    context.scopes.set(plan.stage.index, this.#scope);
  }

  async run(): Promise<void> {
    // The triggers of the base are among the plan's instructions.
    delete runConfig(this.#state).OnBuild;
    for (const instruction of this.#plan.instructions) await this.#instruction(instruction);
  }

  async #instruction(instruction: Instruction): Promise<void> {
    const { steps, say } = this.#context;
    steps.done += 1;
    say({ kind: 'step', text: `[${steps.done}/${steps.total}] ${instruction.text}` });
    try {
      await this.#carryOut(instruction);
    } catch (error) {
      throw this.#located(error, instruction);
    }
  }

  async #carryOut(instruction: Instruction): Promise<void> {
    const scope = this.#scope;
    switch (instruction.kind) {
      case 'RUN':
        return this.#layer(
          instruction,
          await RunInstructionStep.prepare(this.#context, {
            instruction,
            scope,
            state: this.#state,
            plan: this.#plan,
          }),
        );
      case 'COPY':
      case 'ADD':
        return this.#layer(
          instruction,
          await CopyStep.prepare(this.#context, { instruction, scope, state: this.#state, plan: this.#plan }),
        );
      case 'WORKDIR':
        return this.#workdir(instruction);
      default:
        this.#configure(instruction);
    }
  }

  /** A step that may change the root file system: from the cache, or made. */
  async #layer(instruction: Instruction, step: LayerStep): Promise<void> {
    const { factory, say, job, progress } = this.#context;
    const key = digestOf(JSON.stringify([this.#state.key, instruction.kind, step.identity]));
    const known = factory.find(this.#state, key, job.useCache);
    const started = performance.now();
    if (known !== undefined) say({ kind: 'result', text: 'cached' });
    else progress({ step: instruction.text.slice(0, 100) });
    const made = known ?? (await factory.make(this.#state, key, step));
    if (known === undefined) {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const what =
        made.layer === undefined
          ? 'no change'
          : `layer of ${(made.layer.descriptor.size / 1e6).toFixed(1)} MB`;
      say({ kind: 'result', text: `${what}, ${seconds} s` });
    }
    if (made.layer !== undefined) pushLayer(this.#state, made.layer);
    if (this.#state.layers.length > MAX_LAYERS) throw tooManyLayers();
    this.#remember(instruction, { created: made.created, isEmpty: made.layer === undefined });
    this.#state.key = key;
  }

  async #workdir(instruction: WorkdirInstruction): Promise<void> {
    const config = runConfig(this.#state);
    const path = posix.resolve(
      config.WorkingDir === undefined || config.WorkingDir === '' ? '/' : config.WorkingDir,
      this.#scope.expand(instruction.path, instruction),
    );
    config.WorkingDir = path;
    const user = config.User ?? '';
    await this.#layer(instruction, {
      identity: [path, user],
      mountPoints: () => [],
      change: (view) => {
        // The directory belongs to who will work in it, as docker has it.
        const owner = resolveUser(new RootedTree(view.root), user);
        makeDirectory(view.root, canonicalPath(view.root, path), owner);
        return Promise.resolve();
      },
    });
  }

  /** An instruction that changes the image config only. */
  #configure(instruction: ConfigInstruction): void {
    configureStage(this.#state, this.#scope, instruction);
    const config = runConfig(this.#state);
    this.#state.key = digestOf(
      JSON.stringify([
        this.#state.key,
        instruction.kind,
        instruction.kind === 'ARG' ? [] : [instruction.text, config],
      ]),
    );
    this.#remember(instruction, { created: this.#lastCreated(), isEmpty: true });
  }

  #remember(instruction: Instruction, { created, isEmpty }: { created: string; isEmpty: boolean }): void {
    this.#state.config.history ??= [];
    this.#state.config.history.push({
      created,
      created_by: instruction.text,
      ...(isEmpty ? { empty_layer: true } : {}),
    });
  }

  /** A rebuild from the cache shall give the same image: what makes nothing has no time of its own. */
  #lastCreated(): string {
    return (
      this.#state.config.history?.findLast((entry) => entry.created !== undefined)?.created ?? timestamp()
    );
  }

  #located(thrown: unknown, instruction: Instruction): unknown {
    const error = explainNoSpace(thrown, 'what the step writes');
    if (!(error instanceof ImgbootError) || error.code === 'IMGBOOT_DOCKERFILE')
      return locate(instruction, () => {
        throw error;
      });
    return new ImgbootError(
      error.code,
      `${instruction.file}:${instruction.line}: ${instruction.text}: ${errorMessage(error)}`,
      { cause: error, hint: error.hint },
    );
  }
}

function tooManyLayers(): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_TOO_MANY_LAYERS',
    `an image has at most ${MAX_LAYERS} layers, those of its base counted`,
    { hint: 'join several RUN or COPY into one, or build on a base made with --squash' },
  );
}
