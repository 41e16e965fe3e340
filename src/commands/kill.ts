import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { eachContainer } from '../cli/each-container.ts';
import { signalNumber } from '../container/signals.ts';
import { killContainer } from '../container/stop.ts';
import { Store } from '../store/store.ts';

export default class Kill extends ImgbootCommand {
  static override summary = 'Send the first process of containers a signal';
  static override examples = ['<%= config.bin %> <%= command.id %> --signal HUP web'];
  static override strict = false;
  static override args = {
    container: Args.string({
      required: true,
      description: 'a name, or the start of an ID; several may be given',
    }),
  };
  static override flags = {
    ...storeFlag,
    signal: Flags.string({ char: 's', summary: 'its name or number', default: 'KILL' }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Kill);
    requireRoot('kill');
    const signal = signalNumber(flags.signal);
    await eachContainer(Store.open(flags.store), argv as string[], async (container, name) => {
      killContainer(container, signal);
      this.log(name);
    });
  }
}
