import { Flags, Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { eachContainer } from '../cli/each-container.ts';
import { guestExitStatus } from '../cli/exit-status.ts';
import { ownStreams, terminalSize } from '../cli/own-streams.ts';
import { runInForeground } from '../container/foreground.ts';
import { findContainer } from '../container/record.ts';
import { startContainer } from '../container/start.ts';
import { ImgbootError } from '../errors.ts';
import { Store } from '../store/store.ts';

export default class Start extends ImgbootCommand {
  static override summary = 'Start containers again that have ended';
  static override examples = [
    '<%= config.bin %> <%= command.id %> web',
    '<%= config.bin %> <%= command.id %> --attach --interactive job',
  ];
  static override strict = false;
  static override args = {
    container: Args.string({
      required: true,
      description: 'a name, or the start of an ID; several may be given',
    }),
  };
  static override flags = {
    ...storeFlag,
    attach: Flags.boolean({ char: 'a', summary: 'show it until it ends' }),
    interactive: Flags.boolean({ char: 'i', summary: 'pass standard input on; shows it, too' }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Start);
    requireRoot('start');
    const store = Store.open(flags.store);
    const names = argv as string[];
    if (!flags.attach && !flags.interactive) {
      await eachContainer(store, names, async (container, name) => {
        await startContainer(store, container, { progress: this.progress, signal: this.signal });
        this.log(name);
      });
      return;
    }
    if (names.length > 1) throw new ImgbootError('IMGBOOT_USAGE', 'one container at a time can be shown');
    const result = await runInForeground(store, findContainer(store, names[0]!), {
      streams: ownStreams(flags.interactive),
      signal: this.signal,
      consoleSize: terminalSize(),
      onStarted: () => this.leaveSignals(),
    });
    this.exit('exitCode' in result ? result.exitCode : guestExitStatus.of(result.end));
  }
}
