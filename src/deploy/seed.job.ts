import { lstatSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { openView, type ImageView } from '../store/view.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { syncTree } from '../system/durable.ts';
import { runCommand } from '../system/exec.ts';

/** Plain data. */
export interface SeedJob {
  view: ImageView;
  /** In the image. */
  path: string;
  /** The persistent directory, empty. */
  data: string;
}

export async function runJob({ view, path, data }: SeedJob): Promise<void> {
  const root = openView(view);
  // A link of the image leads to another place of the image.
  const source = `${root}${canonicalPath(root, path)}`;
  const stats = lstatSync(source, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory())
    throw new ImgbootError('IMGBOOT_USAGE', `${path} of the image is no directory`, {
      hint: 'name the directory that it is in with --persist',
    });
  await runCommand('cp', ['--archive', '--reflink=auto', '--no-target-directory', '--', source, data]);
  syncTree(data);
}
