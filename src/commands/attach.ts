import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { guestExitStatus } from '../cli/exit-status.ts';
import { ownStreams } from '../cli/own-streams.ts';
import { attachInForeground } from '../container/foreground.ts';
import { findContainer } from '../container/record.ts';
import { Store } from '../store/store.ts';

export default class Attach extends ImgbootCommand {
  static override summary = 'Join the streams of a running container to ours';
  static override description =
    "The exit status is the container's own. At a terminal, ctrl-p ctrl-q leaves it running.";
  static override examples = ['<%= config.bin %> <%= command.id %> web'];
  static override args = {
    container: Args.string({ required: true, description: 'a name, or the start of an ID' }),
  };
  static override flags = {
    ...storeFlag,
    stdin: Flags.boolean({ summary: 'pass standard input on', default: true, allowNo: true }),
    'sig-proxy': Flags.boolean({ summary: 'pass signals on', default: true, allowNo: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Attach);
    requireRoot('attach');
    const store = Store.open(flags.store);
    const container = findContainer(store, args.container);
    if (flags['sig-proxy']) this.leaveSignals();
    const result = await attachInForeground(store, container, {
      streams: ownStreams(flags.stdin),
      proxySignals: flags['sig-proxy'],
    });
    this.exit('exitCode' in result ? result.exitCode : guestExitStatus.of(result.end));
  }

  protected override statusOf(error: unknown): number {
    return guestExitStatus.ofFailure(error);
  }
}
