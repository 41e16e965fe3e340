import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { waitForExit } from '../container/foreground.ts';
import { findContainer } from '../container/record.ts';
import { Store } from '../store/store.ts';

export default class Wait extends ImgbootCommand {
  static override summary = 'Wait until containers end, and print their exit statuses';
  static override examples = ['<%= config.bin %> <%= command.id %> job'];
  static override strict = false;
  static override args = {
    container: Args.string({
      required: true,
      description: 'a name, or the start of an ID; several may be given',
    }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Wait);
    const store = Store.open(flags.store);
    const containers = (argv as string[]).map((name) => findContainer(store, name));
    const statuses = await Promise.all(
      containers.map(async (container) => waitForExit(container, this.signal)),
    );
    for (const status of statuses) this.log(String(status));
  }
}
