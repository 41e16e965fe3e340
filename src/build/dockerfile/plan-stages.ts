import { allowedHint, dockerfileError, locate, wordError } from './dockerfile-error.ts';
import { expand } from './expand.ts';
import { globalArguments, type BuildArguments } from './global-arguments.ts';
import type { Dockerfile, Instruction, Place, Stage } from './instruction.ts';
import { parseTrigger } from './parse-dockerfile.ts';
import { parsePlatform, type Platform } from './platform.ts';

/** Where a FROM, a COPY --from or a RUN --mount takes files from. */
export type StageSource =
  { kind: 'scratch' } | { kind: 'stage'; index: number } | { kind: 'image'; reference: string };

export interface StagePlan {
  stage: Stage;
  base: StageSource;
  /** What its FROM asks for; undefined is the build's. */
  platform: Platform | undefined;
  /** The triggers of the base first, then the stage's own. */
  instructions: Instruction[];
  /** For each name in a COPY --from or RUN --mount from=, as it is written there. */
  sources: ReadonlyMap<string, StageSource>;
  /** The stages that must be built before, rising. */
  dependencies: number[];
}

export interface PlanOptions extends BuildArguments {
  /** The OnBuild of a stage's base image, by the index of the stage. A stage as base brings its own. */
  triggers?: ReadonlyMap<number, readonly string[]> | undefined;
}

/**
 * The stages that the target needs, in an order in which they can be built; the last is the target.
 * @throws IMGBOOT_DOCKERFILE for a target that is not there, a FROM that comes to nothing, a stage that takes files
 *   from itself or a later one
 */
export function planStages(dockerfile: Dockerfile, options: PlanOptions = {}): StagePlan[] {
  const planner = new Planner(dockerfile, options);
  const target = findTarget(dockerfile, options.target);
  return planner.needed(target.index);
}

function findTarget({ file, stages }: Dockerfile, name: string | undefined): Stage {
  if (name === undefined || name === '') return stages.at(-1)!;
  const stage = findStage(stages, name);
  if (stage !== undefined) return stage;
  const names = stages.map((candidate) => candidate.name ?? String(candidate.index));
  throw wordError(`${file} has no stage ${JSON.stringify(name)} for --target`, allowedHint(name, names));
}

/** By name or index. */
function findStage(stages: readonly Stage[], name: string): Stage | undefined {
  const named = stages.find((stage) => stage.name === name.toLowerCase());
  return named ?? (/^[0-9]{1,9}$/.test(name) ? stages[Number(name)] : undefined);
}

class Planner {
  readonly #dockerfile: Dockerfile;
  readonly #globals: ReadonlyMap<string, string>;
  readonly #triggers: ReadonlyMap<number, readonly string[]>;
  readonly #instructions = new Map<number, Instruction[]>();

  constructor(dockerfile: Dockerfile, options: PlanOptions) {
    this.#dockerfile = dockerfile;
    this.#globals = globalArguments(dockerfile, options);
    this.#triggers = options.triggers ?? new Map();
  }

  /** A dependency always has the lower index: so one way down finds all that are needed. */
  needed(target: number): StagePlan[] {
    const wanted = new Set([target]);
    const plans: StagePlan[] = [];
    for (let index = target; index >= 0; index--) {
      if (!wanted.has(index)) continue;
      const plan = this.#plan(this.#dockerfile.stages[index]!);
      for (const dependency of plan.dependencies) wanted.add(dependency);
      plans.unshift(plan);
    }
    return plans;
  }

  #plan(stage: Stage): StagePlan {
    const base = this.#baseOf(stage);
    const instructions = this.#instructionsOf(stage);
    const sources = new Map<string, StageSource>();
    for (const { name, place } of sourceNames(instructions))
      sources.set(name, this.#sourceOf(stage, name, place));
    const indexes = [base, ...sources.values()].flatMap((source) =>
      source.kind === 'stage' ? [source.index] : [],
    );
    return {
      stage,
      base,
      platform: this.#platformOf(stage),
      instructions,
      sources,
      dependencies: [...new Set(indexes)].sort((a, b) => a - b),
    };
  }

  /** Only an earlier stage can be a base: `FROM debian AS debian` means the image. */
  #baseOf(stage: Stage): StageSource {
    const name = this.#expand(stage.from, stage);
    if (name === '') {
      throw dockerfileError(stage, 'the image is empty', {
        hint: 'give the ARG a default before FROM, or --build-arg',
      });
    }
    const earlier = this.#dockerfile.stages.findLast(
      (candidate) => candidate.index < stage.index && candidate.name === name.toLowerCase(),
    );
    if (earlier !== undefined) return { kind: 'stage', index: earlier.index };
    return name === 'scratch' ? { kind: 'scratch' } : { kind: 'image', reference: name };
  }

  #platformOf(stage: Stage): Platform | undefined {
    if (stage.platform === undefined) return undefined;
    const text = this.#expand(stage.platform, stage);
    return locate(stage, () => parsePlatform(text));
  }

  #instructionsOf(stage: Stage): Instruction[] {
    const known = this.#instructions.get(stage.index);
    if (known !== undefined) return known;
    const base = this.#baseOf(stage);
    const inherited =
      base.kind === 'stage'
        ? ownTriggers(this.#dockerfile.stages[base.index]!)
        : (this.#triggers.get(stage.index) ?? []).map((trigger) => parseTrigger(trigger, stage));
    const instructions = [...inherited, ...stage.instructions];
    this.#instructions.set(stage.index, instructions);
    return instructions;
  }

  #sourceOf(stage: Stage, name: string, place: Place): StageSource {
    const source = findStage(this.#dockerfile.stages, name);
    if (source === undefined) {
      // A number can only have been meant for a stage.
      if (/^[0-9]+$/.test(name)) {
        throw dockerfileError(place, `there is no stage ${name}`, {
          hint: `stages count from 0 to ${this.#dockerfile.stages.length - 1}`,
        });
      }
      return name === 'scratch' ? { kind: 'scratch' } : { kind: 'image', reference: name };
    }
    if (source.index < stage.index) return { kind: 'stage', index: source.index };
    const what = `stage ${source.name ?? source.index}`;
    if (source.index === stage.index) throw dockerfileError(place, `${what} takes files from itself`);
    const isCircular = this.#reaches(source, stage);
    throw dockerfileError(
      place,
      isCircular
        ? `circular: ${what} (line ${source.line}) needs this stage itself`
        : `${what} begins only at line ${source.line}`,
      { hint: 'a stage takes files from stages before it; move that stage up' },
    );
  }

  /** Whether a stage needs another, directly or not. */
  #reaches(from: Stage, goal: Stage): boolean {
    const seen = new Set<Stage>();
    const ahead = [from];
    for (let stage = ahead.pop(); stage !== undefined; stage = ahead.pop()) {
      if (stage === goal) return true;
      if (seen.has(stage)) continue;
      seen.add(stage);
      const base = this.#baseOf(stage);
      if (base.kind === 'stage') ahead.push(this.#dockerfile.stages[base.index]!);
      for (const { name } of sourceNames(this.#instructionsOf(stage))) {
        const source = findStage(this.#dockerfile.stages, name);
        if (source !== undefined) ahead.push(source);
      }
    }
    return false;
  }

  #expand(text: string, stage: Stage): string {
    return locate(stage, () => expand(text, this.#globals, { escape: this.#dockerfile.escape }));
  }
}

function ownTriggers(stage: Stage): Instruction[] {
  return stage.instructions.flatMap((instruction) =>
    instruction.kind === 'ONBUILD' ? [instruction.instruction] : [],
  );
}

function sourceNames(instructions: readonly Instruction[]): { name: string; place: Place }[] {
  return instructions.flatMap((instruction) => {
    const names =
      instruction.kind === 'RUN'
        ? instruction.mounts.map(({ from }) => from)
        : instruction.kind === 'COPY'
          ? [instruction.from]
          : [];
    return names.flatMap((name) => (name === undefined || name === '' ? [] : [{ name, place: instruction }]));
  });
}
