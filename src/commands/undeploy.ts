import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { confirm } from '../cli/confirm.ts';
import { undeploy, type Undeployed } from '../deploy/undeploy.ts';
import { Store } from '../store/store.ts';

export default class Undeploy extends ImgbootCommand {
  static override summary = 'Take a deployment away, with its versions and boot entries';
  static override description =
    "The last one takes everything along that imgboot has put where the boot loader reads, and leaves the loader's configuration as it was. Images stay in the store; so do directories that were deployed with --persist, unless --purge.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> desktop --purge --yes',
  ];
  static override enableJsonFlag = true;
  static override args = { name: Args.string({ required: true, description: 'the deployment' }) };
  static override flags = {
    ...storeFlag,
    purge: Flags.boolean({ summary: 'delete its persistent directories, too, with all that is in them' }),
    yes: Flags.boolean({ char: 'y', summary: 'do not ask' }),
  };

  async run(): Promise<Undeployed> {
    const { args, flags } = await this.parse(Undeploy);
    requireRoot('undeploy');
    const what = flags.purge ? ' and its persistent directories' : '';
    if (!flags.yes) await confirm(`Delete all versions of ${args.name}${what}?`);
    const result = await undeploy(Store.open(flags.store), {
      name: args.name,
      purge: flags.purge,
      progress: this.progress,
      signal: this.signal,
    });
    for (const id of result.removed) this.log(`Removed: ${id}`);
    for (const path of result.purged) this.log(`Deleted: ${path}`);
    if (result.kept.length > 0)
      this.tell(`kept: ${result.kept.join(', ')} (imgboot undeploy ${args.name} --purge deletes them)`);
    this.log(
      result.default === null
        ? 'Nothing is deployed any more.'
        : `${result.default} is booted by default from now on.`,
    );
    return result;
  }
}
