import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { driftLines } from '../../cli/drift-lines.ts';
import { rootChoice, rootFlags } from '../../cli/root-flags.ts';
import { diffRoot } from '../../drift/diff-root.ts';
import { driftReport, type DriftReport } from '../../drift/drift-report.ts';
import { Store } from '../../store/store.ts';

export default class DeploymentDiff extends ImgbootCommand {
  static override summary = 'Show what was changed on a booted system';
  static override description =
    'Compares the root that runs, or one that is kept, with its image and its top layer. A line each: packages that came and went, A for what is new, C for what was changed, D for what is gone. What every boot changes is left out (docs/drift.md has the list).';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --previous',
    '<%= config.bin %> <%= command.id %> desktop/2 --files',
  ];
  static override enableJsonFlag = true;
  static override args = {
    name: Args.string({
      description:
        'a deployment or a version of it, or an image that was booted without; the system that runs',
    }),
  };
  static override flags = {
    ...storeFlag,
    ...rootFlags,
    all: Flags.boolean({ char: 'a', summary: 'also what every boot changes' }),
    files: Flags.boolean({ summary: 'also the files of packages that came and went' }),
  };

  async run(): Promise<DriftReport> {
    const { args, flags } = await this.parse(DeploymentDiff);
    requireRoot('deployment diff');
    const drift = await diffRoot(Store.open(flags.store), rootChoice(args.name, flags), {
      everywhere: flags.all,
      progress: this.progress,
      signal: this.signal,
    });
    for (const note of drift.notes) this.tell(note);
    for (const line of driftLines(drift, flags)) this.log(line);
    return driftReport(drift, flags);
  }
}
