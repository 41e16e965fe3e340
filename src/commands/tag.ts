import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { Store } from '../store/store.ts';
import { tagImage } from '../store/tag.ts';

export default class Tag extends ImgbootCommand {
  static override summary = 'Give an image another name';
  static override examples = ['<%= config.bin %> <%= command.id %> desktop desktop:2026-11'];
  static override args = {
    image: Args.string({ required: true, description: 'an image of the store' }),
    name: Args.string({ required: true, description: 'its further name' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Tag);
    requireRoot('tag');
    await tagImage(Store.open(flags.store), { image: args.image, name: args.name, signal: this.signal });
  }
}
