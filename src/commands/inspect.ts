import { Args } from '@oclif/core';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { inspectImage } from '../store/describe.ts';
import { Store } from '../store/store.ts';

export default class Inspect extends ImgbootCommand {
  static override summary = 'Show all that is known of an image, as JSON';
  static override examples = ['<%= config.bin %> <%= command.id %> desktop'];
  static override args = { image: Args.string({ required: true, description: 'an image of the store' }) };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Inspect);
    const store = Store.open(flags.store);
    this.log(JSON.stringify(inspectImage(store, store.image(args.image)), null, 2));
  }
}
