import { openView, type ImageView } from '../store/view.ts';
import { RootedTree } from '../system/rooted.ts';
import { checkBootability, type BootFinding } from './bootability.ts';

export async function runJob(view: ImageView): Promise<BootFinding[]> {
  return checkBootability(new RootedTree(openView(view)));
}
