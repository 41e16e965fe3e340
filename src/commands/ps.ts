import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { age, table } from '../cli/table.ts';
import {
  isFilterKey,
  matchesFilters,
  summarizeContainer,
  type ContainerSummary,
} from '../container/describe.ts';
import { listContainers } from '../container/record.ts';
import { ImgbootError } from '../errors.ts';
import { Store } from '../store/store.ts';

const COMMAND_WIDTH = 24;

export default class Ps extends ImgbootCommand {
  static override summary = 'List containers';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --all',
    '<%= config.bin %> <%= command.id %> --filter status=exited --json',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    all: Flags.boolean({ char: 'a', summary: 'those that do not run, too' }),
    quiet: Flags.boolean({ char: 'q', summary: 'print IDs only' }),
    filter: Flags.string({
      char: 'f',
      summary: 'only those that are so: id, name, status, label, ancestor, exited, network, volume',
      helpValue: 'KEY=VALUE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    last: Flags.integer({ char: 'n', summary: 'the last so many that were made', min: 1 }),
    latest: Flags.boolean({ char: 'l', summary: 'the last one that was made' }),
    trunc: Flags.boolean({ summary: 'shorten IDs and commands', default: true, allowNo: true }),
  };

  async run(): Promise<ContainerSummary[]> {
    const { flags } = await this.parse(Ps);
    const filters = (flags.filter ?? []).map(readFilter);
    const store = Store.open(flags.store);
    const count = flags.latest ? 1 : flags.last;
    const all =
      flags.all || count !== undefined || filters.some(([key]) => key === 'status' || key === 'exited');
    const containers = listContainers(store)
      .slice(0, count)
      .map((container) => summarizeContainer(store, container))
      .filter((summary) => all || summary.State === 'running' || summary.State === 'paused')
      .filter((summary) => matchesFilters(summary, filters));
    const id = ({ Id }: ContainerSummary): string => (flags.trunc ? Id.slice(0, 12) : Id);
    if (flags.quiet) for (const summary of containers) this.log(id(summary));
    else {
      this.log(
        table(
          ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES'],
          containers.map((summary) => [
            id(summary),
            summary.Image,
            flags.trunc ? shorten(summary.Command.join(' ')) : summary.Command.join(' '),
            age(summary.Created),
            statusWords(summary),
            summary.Ports.join(', '),
            summary.Names.join(','),
          ]),
        ),
      );
    }
    return containers;
  }
}

function readFilter(text: string): [key: string, value: string] {
  const equals = text.indexOf('=');
  const key = text.slice(0, Math.max(0, equals));
  if (isFilterKey(key)) return [key, text.slice(equals + 1)];
  throw new ImgbootError('IMGBOOT_USAGE', `not a filter: ${JSON.stringify(text)}`, {
    hint: 'KEY=VALUE, with id, name, status, label, ancestor, exited, network or volume as the key',
  });
}

function statusWords({ State, ExitCode, StartedAt, FinishedAt }: ContainerSummary): string {
  switch (State) {
    case 'created':
      return 'Created';
    case 'running':
      return `Up ${since(StartedAt)}`;
    case 'paused':
      return `Up ${since(StartedAt)} (Paused)`;
    case 'exited':
      return `Exited (${ExitCode}) ${age(FinishedAt)}`.trimEnd();
  }
}

function since(moment: string | null): string {
  return age(moment).replace(/ ago$/, '');
}

function shorten(text: string): string {
  return text.length > COMMAND_WIDTH ? `${text.slice(0, COMMAND_WIDTH - 3)}...` : text;
}
