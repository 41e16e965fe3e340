import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { findContainer } from '../container/record.ts';
import { renameContainer } from '../container/rename.ts';
import { Store } from '../store/store.ts';

export default class Rename extends ImgbootCommand {
  static override summary = 'Give a container another name';
  static override examples = ['<%= config.bin %> <%= command.id %> web web-old'];
  static override args = {
    container: Args.string({ required: true, description: 'a name, or the start of an ID' }),
    name: Args.string({ required: true, description: 'its new name' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Rename);
    requireRoot('rename');
    const store = Store.open(flags.store);
    await renameContainer(store, findContainer(store, args.container), args.name);
  }
}
