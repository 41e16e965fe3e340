import type { Command } from '@oclif/core/command';
import { Help } from '@oclif/core/help';

/** The verbs, in the rooms a user looks for them in. */
const groups: readonly [title: string, commands: readonly string[]][] = [
  [
    'Images',
    [
      'build',
      'bootstrap',
      'import',
      'load',
      'pull',
      'save',
      'push',
      'images',
      'inspect',
      'history',
      'tag',
      'rmi',
      'export',
      'prune',
      'fsck',
    ],
  ],
  [
    'Containers',
    [
      'run',
      'ps',
      'logs',
      'exec',
      'attach',
      'start',
      'stop',
      'kill',
      'rm',
      'wait',
      'cp',
      'diff',
      'commit',
      'rename',
      'stats',
      'top',
    ],
  ],
  [
    'Boot',
    [
      'qemu',
      'test',
      'deploy',
      'upgrade',
      'switch',
      'rollback',
      'undeploy',
      'status',
      'boots',
      'why',
      'bless',
      'disk',
      'install',
    ],
  ],
  ['Initramfs', ['mkinitramfs', 'lsinitramfs']],
  ['Machine', ['doctor', 'autocomplete']],
];

/** `imgboot --help` lists its verbs in groups. */
export default class GroupedHelp extends Help {
  protected override formatCommands(commands: Command.Loadable[]): string {
    const byName = new Map(commands.map((command) => [command.id, command]));
    const sections = groups.map(([title, names]) => {
      const known = names.flatMap((name) => byName.get(name) ?? []);
      for (const command of known) byName.delete(command.id);
      return known.length === 0 ? '' : this.section(title.toUpperCase(), this.rows(known));
    });
    if (byName.size > 0) sections.push(this.section('OTHER', this.rows([...byName.values()])));
    return sections.filter(Boolean).join('\n\n');
  }

  /** A flag that may repeat begins with none: that is no default worth a word. */
  protected override formatCommand(command: Command.Loadable): string {
    const flags = Object.entries(command.flags).map(([name, flag]) => {
      if (flag.type === 'boolean' || !Array.isArray(flag.default) || flag.default.length > 0)
        return [name, flag] as const;
      const { default: _none, ...rest } = flag;
      return [name, rest] as const;
    });
    return super.formatCommand({ ...command, flags: Object.fromEntries(flags) });
  }

  private rows(commands: Command.Loadable[]): string {
    return this.renderList(
      commands.map((command) => [command.id.replaceAll(':', ' '), this.summary(command)]),
      { spacer: '\n', stripAnsi: this.opts.stripAnsi ?? false, indentation: 2 },
    );
  }
}
