import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { parseMoment, readLogs, type LogEntry } from '../container/logs.ts';
import { findContainer } from '../container/record.ts';
import { Store } from '../store/store.ts';

export default class Logs extends ImgbootCommand {
  static override summary = 'Show what a container has printed';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --follow --tail 10 web',
    '<%= config.bin %> <%= command.id %> --since 10m --timestamps web',
  ];
  static override args = {
    container: Args.string({ required: true, description: 'a name, or the start of an ID' }),
  };
  static override flags = {
    ...storeFlag,
    follow: Flags.boolean({ char: 'f', summary: 'go on until the container ends' }),
    tail: Flags.integer({ char: 'n', summary: 'the last so many lines', min: 0 }),
    since: Flags.string({ summary: 'from a moment on: RFC 3339, seconds since 1970, or 10m' }),
    until: Flags.string({ summary: 'up to a moment' }),
    timestamps: Flags.boolean({ char: 't', summary: 'put the time before each line' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs);
    const container = findContainer(Store.open(flags.store), args.container);
    let begun = false;
    const print = async (entry: LogEntry): Promise<void> => {
      const time = flags.timestamps && !begun ? `${entry.time} ` : '';
      begun = entry.partial;
      const stream = entry.stream === 'stderr' ? process.stderr : process.stdout;
      const bytes = Buffer.concat([Buffer.from(time), entry.text, Buffer.from(entry.partial ? '' : '\n')]);
      await new Promise<void>((resolve) => {
        stream.write(bytes, () => resolve());
      });
    };
    const entries = readLogs(container, {
      follow: flags.follow,
      tail: flags.tail,
      sinceMs: flags.since === undefined ? undefined : parseMoment(flags.since),
      untilMs: flags.until === undefined ? undefined : parseMoment(flags.until),
      signal: this.signal,
    });
    for await (const entry of entries) await print(entry);
  }
}
