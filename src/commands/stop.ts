import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { eachContainer } from '../cli/each-container.ts';
import { listContainers } from '../container/record.ts';
import { isRunning } from '../container/state.ts';
import { stopContainer } from '../container/stop.ts';
import { Store } from '../store/store.ts';

export default class Stop extends ImgbootCommand {
  static override summary = 'End containers: by their stop signal, then by KILL';
  static override examples = [
    '<%= config.bin %> <%= command.id %> web',
    '<%= config.bin %> <%= command.id %> --time 60 db',
  ];
  static override strict = false;
  static override args = {
    container: Args.string({ description: 'a name, or the start of an ID; several may be given' }),
  };
  static override flags = {
    ...storeFlag,
    time: Flags.integer({
      char: 't',
      summary: "seconds before KILL; by default the container's own",
      min: 0,
    }),
    all: Flags.boolean({ char: 'a', summary: 'all that run' }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Stop);
    requireRoot('stop');
    const store = Store.open(flags.store);
    const running = (): string[] =>
      listContainers(store).flatMap(({ record, paths }) => (isRunning(paths) ? record.id : []));
    const names = flags.all ? running() : this.requireNames(argv);
    await eachContainer(store, names, async (container, name) => {
      await stopContainer(store, container, { timeoutSeconds: flags.time, signal: this.signal });
      this.log(name);
    });
  }
}
