import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { pinVersion } from '../../deploy/pin.ts';
import { Store } from '../../store/store.ts';

export default class DeploymentUnpin extends ImgbootCommand {
  static override summary = 'No longer keep a version whatever comes after it';
  static override examples = ['<%= config.bin %> <%= command.id %> desktop/2'];
  static override args = {
    version: Args.string({ required: true, description: 'such as desktop/3; the newest of a deployment' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DeploymentUnpin);
    requireRoot('deployment unpin');
    const id = await pinVersion(Store.open(flags.store), {
      version: args.version,
      pinned: false,
      progress: this.progress,
      signal: this.signal,
    });
    this.log(`${id} is no longer pinned.`);
  }
}
