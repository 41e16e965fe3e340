import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { inspectVersion } from '../../deploy/inspect.ts';
import { Store } from '../../store/store.ts';

export default class DeploymentInspect extends ImgbootCommand {
  static override summary = 'Show all that is known of a version, as JSON';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> desktop/2',
  ];
  static override args = {
    version: Args.string({ required: true, description: 'such as desktop/3; the newest of a deployment' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DeploymentInspect);
    this.log(JSON.stringify(inspectVersion(Store.open(flags.store), args.version), null, 2));
  }
}
