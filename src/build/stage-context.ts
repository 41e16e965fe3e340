import type { Runtime } from '../container/runtime.ts';
import type { Store } from '../store/store.ts';
import type { Progress } from '../system/progress.ts';
import type { BuildJob } from './build.job.ts';
import type { BuildLine } from './build-line.ts';
import type { StageSource } from './dockerfile/plan-stages.ts';
import type { StageScope } from './dockerfile/stage-scope.ts';
import type { FileSource } from './file-source.ts';
import type { LayerFactory } from './layer-factory.ts';
import type { StageState } from './stage-state.ts';
import type { StageViews } from './stage-views.ts';

/** What the stages of one build share. */
export interface StageContext {
  job: BuildJob;
  /** The Dockerfile's escape character. */
  escape: string;
  store: Store;
  factory: LayerFactory;
  /** The build context. */
  files: FileSource;
  views: StageViews;
  globals: ReadonlyMap<string, string>;
  /** The variables of the stages so far, by index. */
  scopes: Map<number, StageScope>;
  /** What a stage begins with or copies from: a stage that is done, or an image. */
  findState: (source: StageSource) => Promise<StageState>;
  /** What runs RUNs; chosen at the first. */
  runtime: () => Promise<Runtime>;
  steps: { done: number; total: number };
  say: (line: BuildLine) => void;
  progress: Progress;
}
