import { runCommand } from '../system/exec.ts';
import { canonicalTar } from './canonical-tar.ts';
import { openView, type ImageView } from './view.ts';

export interface ExportJob {
  view: ImageView;
  /** A file, or this process's standard output when undefined. */
  output: string | undefined;
}

export async function runJob({ view, output }: ExportJob): Promise<void> {
  const root = openView(view);
  await runCommand(
    'tar',
    [...canonicalTar, '--file', output ?? '-', '--directory', root, '.'],
    output === undefined ? { outputTo: 'inherit' } : {},
  );
}
