import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { eachContainer } from '../cli/each-container.ts';
import { sweepContainers } from '../container/cleanup.ts';
import { listContainers, tryFindContainer } from '../container/record.ts';
import { removeContainer } from '../container/remove.ts';
import { Store } from '../store/store.ts';

export default class Rm extends ImgbootCommand {
  static override summary = 'Remove containers, with what they have written';
  static override examples = [
    '<%= config.bin %> <%= command.id %> web',
    '<%= config.bin %> <%= command.id %> --force --volumes web',
  ];
  static override strict = false;
  static override args = {
    container: Args.string({ description: 'a name, or the start of an ID; several may be given' }),
  };
  static override flags = {
    ...storeFlag,
    force: Flags.boolean({ char: 'f', summary: 'those that run, too; none is missed' }),
    volumes: Flags.boolean({ char: 'v', summary: 'the volumes without a name that were made for them, too' }),
    time: Flags.integer({
      char: 't',
      summary: 'with --force: seconds between the stop signal and KILL',
      min: 0,
    }),
    all: Flags.boolean({ char: 'a', summary: 'all there are' }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Rm);
    requireRoot('rm');
    const store = Store.open(flags.store);
    await sweepContainers(store);
    const asked = flags.all ? listContainers(store).map(({ record }) => record.id) : this.requireNames(argv);
    const names = flags.force ? asked.filter((name) => tryFindContainer(store, name) !== undefined) : asked;
    await eachContainer(store, names, async (container, name) => {
      await removeContainer(store, container, {
        force: flags.force,
        volumes: flags.volumes,
        stopSeconds: flags.time,
        signal: this.signal,
      });
      this.log(name);
    });
  }
}
