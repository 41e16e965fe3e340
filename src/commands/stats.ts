import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { humanSize, table } from '../cli/table.ts';
import { findContainer, listContainers, type Container } from '../container/record.ts';
import { isRunning } from '../container/state.ts';
import { measureContainers, type ContainerStats } from '../container/limits/stats.ts';
import { Store } from '../store/store.ts';

/** How long is measured for each line. */
const STREAM_MS = 1000;
const ONCE_MS = 250;

export default class Stats extends ImgbootCommand {
  static override summary = 'Show what running containers use';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --no-stream --json web',
  ];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    container: Args.string({
      description: 'a name, or the start of an ID; several may be given, none is all',
    }),
  };
  static override flags = {
    ...storeFlag,
    stream: Flags.boolean({
      summary: 'go on until interrupted; --json does not',
      default: true,
      allowNo: true,
    }),
  };

  async run(): Promise<ContainerStats[]> {
    const { argv, flags } = await this.parse(Stats);
    const store = Store.open(flags.store);
    const asked = argv as string[];
    const chosen = (): Container[] =>
      asked.length === 0 ? listContainers(store) : asked.map((name) => findContainer(store, name));
    const stream = flags.stream && !this.jsonEnabled();
    for (;;) {
      const running = chosen().filter(({ paths }) => isRunning(paths));
      const stats = await measureContainers(running, {
        spanMs: stream ? STREAM_MS : ONCE_MS,
        signal: this.signal,
      });
      if (stream && process.stdout.isTTY) process.stdout.write('\u001B[H\u001B[2J');
      this.log(statsTable(stats));
      if (!stream) return stats;
    }
  }
}

function statsTable(stats: readonly ContainerStats[]): string {
  const pair = (first: number | null, second: number | null): string =>
    `${first === null ? '--' : humanSize(first)} / ${second === null ? '--' : humanSize(second)}`;
  return table(
    ['ID', 'NAME', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'NET IO', 'BLOCK IO', 'PIDS'],
    stats.map((one) => [
      one.id.slice(0, 12),
      one.name,
      `${one.cpuPercent.toFixed(2)}%`,
      pair(one.memoryBytes, one.memoryLimitBytes),
      `${((100 * one.memoryBytes) / one.memoryLimitBytes).toFixed(2)}%`,
      pair(one.networkReceivedBytes, one.networkSentBytes),
      pair(one.blockReadBytes, one.blockWriteBytes),
      String(one.pids),
    ]),
  );
}
