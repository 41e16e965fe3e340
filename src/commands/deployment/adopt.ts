import { adoptFlags, adoptTarget } from '../../cli/adopt-flags.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { Args } from '../../cli/oclif.ts';
import { rootChoice, rootFlags } from '../../cli/root-flags.ts';
import { adoptedLines } from '../../cli/drift-lines.ts';
import { adoptChanges, type Adopted } from '../../drift/adopt-changes.ts';
import { Store } from '../../store/store.ts';

export default class DeploymentAdopt extends ImgbootCommand {
  static override summary =
    'Bring what was changed on a booted system into its top layer, a Dockerfile or an image';
  static override description =
    'Takes the changes of these paths, of a directory all that was changed in it, as imgboot deployment diff shows them. A Dockerfile installs packages by their names.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /etc/motd /etc/ssh --into top-layer',
    '<%= config.bin %> <%= command.id %> --all --into dockerfile --output desktop',
    '<%= config.bin %> <%= command.id %> --package htop --into layer --tag desktop:next',
  ];
  static override strict = false;
  static override enableJsonFlag = true;
  static override args = { path: Args.string({ description: 'changed paths, absolute' }) };
  static override flags = { ...storeFlag, ...rootFlags, ...adoptFlags };

  async run(): Promise<Adopted> {
    const { argv, flags } = await this.parse(DeploymentAdopt);
    requireRoot('deployment adopt');
    const adopted = await adoptChanges(Store.open(flags.store), {
      choice: rootChoice(flags.deployment, flags),
      wish: { paths: argv as string[], packages: flags.package, all: flags.all },
      target: adoptTarget(flags),
      dryRun: flags['dry-run'],
      progress: this.progress,
      signal: this.signal,
    });
    for (const note of adopted.notes) this.tell(`Note: ${note}`);
    for (const line of adoptedLines(adopted)) this.log(line);
    return adopted;
  }
}
