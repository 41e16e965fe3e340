import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { tidyCgroups } from '../container/cleanup.ts';
import { finish } from '../container/foreground.ts';
import { tryFindContainer } from '../container/record.ts';
import { Store } from '../store/store.ts';

/** What a container's monitor runs at its end. */
export default class ContainerCleanup extends ImgbootCommand {
  static override hidden = true;
  static override summary = 'Clean up after a container that has ended';
  static override args = { container: Args.string({ required: true, description: 'its ID' }) };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ContainerCleanup);
    const store = Store.open(flags.store);
    const container = tryFindContainer(store, args.container);
    if (container !== undefined) await finish(store, container);
    tidyCgroups();
  }
}
