import { lstatSync, readdirSync } from 'node:fs';
import { openView, type ImageView } from '../../store/view.ts';
import { canonicalPath } from '../../system/canonical-path.ts';
import { syncTree } from '../../system/durable.ts';
import { runCommand } from '../../system/exec.ts';

/** A copy of what an image has at a path, as plain data. */
export interface VolumeCopyJob {
  view: ImageView;
  /** In the image. */
  target: string;
  /** The volume's directory, empty. */
  data: string;
}

/** @returns whether there was anything */
export async function runJob({ view, target, data }: VolumeCopyJob): Promise<boolean> {
  const root = openView(view);
  // A link of the image leads to another place of the image.
  const source = `${root}${canonicalPath(root, target)}`;
  if (lstatSync(source, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  await runCommand('cp', ['--archive', '--reflink=auto', '--', `${source}/.`, data]);
  syncTree(data);
  return readdirSync(data).length > 0;
}
