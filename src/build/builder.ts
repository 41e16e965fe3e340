import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { chooseRuntime, type Runtime } from '../container/runtime.ts';
import { digestOf } from '../image/digest.ts';
import type { Config } from '../image/manifest.ts';
import { imageName } from '../image/transport.ts';
import { writeManifest } from '../store/add-image.ts';
import { pullImage } from '../store/pull.ts';
import type { Store } from '../store/store.ts';
import type { JobContext } from '../system/isolate.ts';
import { epochSeconds, timestamp } from '../system/timestamp.ts';
import type { BuildJob, BuiltImage } from './build.job.ts';
import { encodeLine, type BuildLine } from './build-line.ts';
import { ContentDigests } from './content-digests.ts';
import { parseIgnore } from './dockerfile/ignore.ts';
import { parseDockerfile } from './dockerfile/parse-dockerfile.ts';
import type { Dockerfile } from './dockerfile/instruction.ts';
import { globalArguments, unusedBuildArgs } from './dockerfile/global-arguments.ts';
import { planStages, type PlanOptions, type StagePlan, type StageSource } from './dockerfile/plan-stages.ts';
import { hostPlatform, parsePlatform } from './dockerfile/platform.ts';
import { FileSource } from './file-source.ts';
import { CacheMiss, LayerFactory } from './layer-factory.ts';
import { squash } from './squash.ts';
import { StageBuilder } from './stage-builder.ts';
import type { StageContext } from './stage-context.ts';
import { copyState, imageState, scratchState, type StageState } from './stage-state.ts';
import { StageViews } from './stage-views.ts';

/** Carries out a whole build in a process of its own; see build.job.ts. */
export class Builder {
  readonly #store: Store;
  readonly #job: BuildJob;
  readonly #context: JobContext;
  readonly #factory: LayerFactory;
  /** Of the context's files. */
  readonly digests: ContentDigests;

  constructor(store: Store, job: BuildJob, context: JobContext) {
    this.#store = store;
    this.#job = job;
    this.#context = context;
    this.digests = new ContentDigests(store.paths.contentDigests, job.digests);
    const epoch = epochSeconds();
    this.#factory = new LayerFactory(store, {
      scratch: job.scratch,
      newName: (index) => `${job.newLayerPrefix}${index}`,
      cachedOnly: job.cachedOnly,
      latestSeconds: epoch === undefined ? undefined : BigInt(epoch),
    });
  }

  async build(): Promise<BuiltImage> {
    const { dockerfile, ignore } = this.#job;
    const parsed = parseDockerfile(dockerfile.text, dockerfile.name);
    const plans = await this.#plan(parsed);
    const unused = unusedBuildArgs(parsed, this.#job.buildArgs);
    if (unused.length > 0) this.#say({ kind: 'warning', text: `no ARG asks for ${unused.join(', ')}` });
    using files = new FileSource(this.#job.context, {
      keepsOwners: false,
      digests: this.digests,
      ignore: ignore === undefined ? undefined : parseIgnore(ignore.text, ignore.name),
    });
    using views = new StageViews(this.#store, {
      scratch: join(this.#job.scratch, 'views'),
      mounts: !this.#job.cachedOnly,
    });
    const stages = new Map<number, StageState>();
    let runtime: Promise<Runtime> | undefined;
    const shared: StageContext = {
      job: this.#job,
      escape: parsed.escape,
      store: this.#store,
      factory: this.#factory,
      files,
      views,
      globals: globalArguments(parsed, this.#planOptions),
      scopes: new Map(),
      findState: async (source) => this.#state(source, stages),
      runtime: () => (runtime ??= chooseRuntime()),
      steps: { done: 0, total: plans.reduce((sum, plan) => sum + 1 + plan.instructions.length, 0) },
      say: (line) => this.#say(line),
      progress: this.#context.progress,
    };
    try {
      for (const plan of plans) stages.set(plan.stage.index, await this.#stage(plan, shared));
    } catch (error) {
      try {
        this.#remember();
      } catch {
        // Why the build failed says more: on a full disk both do.
      }
      throw error;
    }
    this.#remember();
    return await this.#finish(stages.get(plans.at(-1)!.stage.index)!);
  }

  /** Publishes what was made, of a failed build, too: the next try finds it in the cache. */
  #remember(): void {
    this.#factory.publish();
    if (!this.#job.cachedOnly) this.digests.save();
  }

  #say(line: BuildLine): void {
    this.#context.say(encodeLine(line));
  }

  get #planOptions(): PlanOptions {
    const { target, buildArgs, platform } = this.#job;
    return { target, buildArgs, platform: platform === undefined ? undefined : parsePlatform(platform) };
  }

  /** The stages that are needed, with the triggers that their base images bring. */
  async #plan(parsed: Dockerfile): Promise<StagePlan[]> {
    const plans = planStages(parsed, this.#planOptions);
    const triggers = new Map<number, readonly string[]>();
    for (const { stage, base } of plans) {
      if (base.kind !== 'image') continue;
      const image = await this.#findImage(base.reference);
      const own = image.config.config?.OnBuild ?? [];
      if (own.length > 0) triggers.set(stage.index, own);
    }
    return triggers.size === 0 ? plans : planStages(parsed, { ...this.#planOptions, triggers });
  }

  async #stage(plan: StagePlan, shared: StageContext): Promise<StageState> {
    const { steps } = shared;
    steps.done += 1;
    shared.say({ kind: 'step', text: `[${steps.done}/${steps.total}] ${plan.stage.text}` });
    const state =
      plan.base.kind === 'scratch'
        ? scratchState(plan.platform ?? hostPlatform())
        : await shared.findState(plan.base);
    const builder = new StageBuilder(shared, plan, state);
    await builder.run();
    return state;
  }

  /** A state of its own: what is done to it does not change the stage or image that it came from. */
  async #state(source: StageSource, stages: ReadonlyMap<number, StageState>): Promise<StageState> {
    switch (source.kind) {
      case 'scratch':
        return scratchState(hostPlatform());
      case 'stage':
        return copyState(stages.get(source.index)!);
      case 'image':
        return imageState(await this.#findImage(source.reference));
    }
  }

  /** An image of the store, or one that is brought into it first. */
  async #findImage(reference: string): Promise<ReturnType<Store['image']>> {
    const isElsewhere =
      /^[a-z-]+:(?:\/\/|[./])/.test(reference) ||
      reference.startsWith('docker-daemon:') ||
      reference.startsWith('containers-storage:');
    if (!isElsewhere && !this.#job.pull) {
      try {
        return this.#store.image(reference);
      } catch (error) {
        if (!(error instanceof ImgbootError) || error.code !== 'IMGBOOT_NO_SUCH_IMAGE') throw error;
      }
    }
    if (this.#job.cachedOnly) throw new CacheMiss(`${reference} is to be pulled`);
    try {
      return await pullImage(this.#store, {
        from: imageName(reference),
        platform: this.#job.platform,
        ...this.#job.registry,
        progress: this.#context.progress,
      });
    } catch (cause) {
      if (isElsewhere || !(cause instanceof ImgbootError)) throw cause;
      throw new ImgbootError(
        'IMGBOOT_NO_SUCH_IMAGE',
        `the store has no image ${reference}, and it cannot be pulled: ${cause.message}`,
        {
          cause,
          hint: `make or load it first (imgboot bootstrap, import, load), or check the name; the store has ${this.#names()}`,
        },
      );
    }
  }

  #names(): string {
    return (
      this.#store
        .images()
        .flatMap((image) => image.reference ?? [])
        .join(', ') || 'none'
    );
  }

  async #finish(state: StageState): Promise<BuiltImage> {
    const labels = this.#job.labels;
    const config: Config = state.config;
    if (Object.keys(labels).length > 0) {
      config.config ??= {};
      config.config.Labels = { ...config.config.Labels, ...labels };
    }
    if (this.#job.squash) await squash(state, { factory: this.#factory, store: this.#store });
    config.rootfs = { type: 'layers', diff_ids: state.layers.map(({ diffId }) => diffId) };
    config.created = config.history?.at(-1)?.created ?? timestamp();
    const descriptor = writeManifest(this.#store.paths, {
      config,
      layers: state.layers.map((layer) => layer.descriptor),
      workspace: { path: this.#job.scratch },
      layersAreDurable: this.#job.cachedOnly,
    });
    return { descriptor, id: digestOf(JSON.stringify(config)) };
  }
}
