import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { removeImages, type Removed } from '../store/remove-image.ts';
import { Store } from '../store/store.ts';

export default class Rmi extends ImgbootCommand {
  static override summary = 'Remove images, by name or by ID';
  static override description =
    'An image is deleted with its last name; layers that other images share stay.';
  static override examples = ['<%= config.bin %> <%= command.id %> desktop:old'];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    image: Args.string({ required: true, description: 'an image of the store; several may be given' }),
  };
  static override flags = {
    ...storeFlag,
    force: Flags.boolean({
      char: 'f',
      summary: 'by ID, an image that has several names; and one that containers are made of',
    }),
  };

  async run(): Promise<Removed> {
    const { argv, flags } = await this.parse(Rmi);
    requireRoot('rmi');
    const removed = await removeImages(Store.open(flags.store), argv as string[], {
      force: flags.force,
      progress: this.progress,
      signal: this.signal,
    });
    for (const name of removed.untagged) this.log(`Untagged: ${name}`);
    for (const digest of removed.deleted) this.log(`Deleted: ${digest}`);
    return removed;
  }
}
