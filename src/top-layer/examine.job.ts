import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openView, type ImageView } from '../store/view.ts';
import { examine, type Examination } from './examine.ts';
import { measureTopLayer, type Measure } from './hook-shell.ts';
import { openTopLayer } from './open.ts';
import type { TopLayerPlace } from './place.ts';
import { tarStyleOf } from './tar-of-image.ts';
import { textDifferences, type TextDifference } from './text-difference.ts';
import { FileTree } from './tree.ts';

/** Plain data. */
export interface ExamineJob {
  place: TopLayerPlace;
  /** An image of a store, or a root file system. */
  target: { kind: 'image'; view: ImageView; name: string } | { kind: 'root'; root: string };
  persist: string[];
  /** An empty directory. */
  scratch: string;
  measure: boolean;
  texts: boolean;
}

export interface Examined extends Examination {
  /** Undefined where it was not asked for. */
  measure: Measure | undefined;
  /** By place; empty where it was not asked for. */
  texts: Map<string, TextDifference>;
}

export async function runJob(job: ExamineJob): Promise<Examined> {
  const mountPoint = join(job.scratch, 'top');
  mkdirSync(mountPoint);
  const directory = await openTopLayer(job.place, { mountPoint, writable: false });
  using top = new FileTree(directory);
  using image = new FileTree(job.target.kind === 'root' ? job.target.root : openView(job.target.view));
  const { scene, ...examination } = examine({ image, top, persist: job.persist });
  const names = { image: job.target.kind === 'root' ? job.target.root : job.target.name };
  const [measure, texts] = await Promise.all([
    job.measure
      ? measureTopLayer(directory, { work: join(job.scratch, 'work'), style: tarStyleOf(image) })
      : undefined,
    job.texts ? textDifferences(scene, examination.effects, names) : new Map<string, TextDifference>(),
  ]);
  return { ...examination, measure, texts };
}
