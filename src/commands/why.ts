import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { rootFlags } from '../cli/root-flags.ts';
import { printable } from '../cli/table.ts';
import { whyLines } from '../cli/why-lines.ts';
import { isUnknown, why, type Why } from '../origin/why.ts';
import { Store } from '../store/store.ts';

export default class WhyCommand extends ImgbootCommand {
  static override summary =
    'Say who wrote, or deleted, a file: a layer, the top layer, or a boot; and whose package it is';
  static override description =
    'Of a deployment (desktop, desktop/3) with its top layer and what its last boot wrote, or of an image; without either, of the system that runs, or else of the default deployment. A link is followed, and each step has its answer.';
  static override usage = 'why [DEPLOYMENT|IMAGE] PATH...';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /etc/resolv.conf',
    '<%= config.bin %> <%= command.id %> desktop:latest /usr/bin/vi',
  ];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    path: Args.string({
      required: true,
      description:
        'absolute paths, as the system itself sees them; before them, a deployment or an image of the store',
    }),
  };
  static override flags = { ...storeFlag, ...rootFlags };

  async run(): Promise<Why> {
    const { argv, flags } = await this.parse(WhyCommand);
    requireRoot('why');
    const [first, ...rest] = argv as [string, ...string[]];
    const [name, paths] = first.startsWith('/') ? [undefined, [first, ...rest]] : [first, rest];
    this.requireNames(paths);
    const answer = await why(Store.open(flags.store), {
      name,
      layer: flags.previous ? 'previous' : flags.layer,
      paths,
      progress: this.progress,
      signal: this.signal,
    });
    for (const note of answer.notes) this.tell(printable(note));
    this.log(whyLines(answer));
    if (answer.answers.some(isUnknown)) process.exitCode = 1;
    return answer;
  }
}
