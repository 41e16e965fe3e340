import { hooksStatus, type HookStatus } from '../../boot/hooks.ts';
import { ImgbootCommand } from '../../cli/base-command.ts';
import { hookArgs, hookRootFlag, readGenerators } from '../../cli/hook-flags.ts';
import { table } from '../../cli/table.ts';

export default class HooksStatus extends ImgbootCommand {
  static override summary = 'Say which hooks are installed, and whether they are as they should be';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --root ./rootfs --json',
  ];
  static override strict = false;
  static override args = hookArgs;
  static override enableJsonFlag = true;
  static override flags = { ...hookRootFlag };

  async run(): Promise<HookStatus[]> {
    const { argv, flags } = await this.parse(HooksStatus);
    const statuses = await hooksStatus({ root: flags.root, generators: readGenerators(argv) });
    const rows = statuses.map(({ generator, state, hasGenerator, files }) => [
      generator,
      state,
      hasGenerator === false
        ? 'there is no such generator'
        : files.map((file) => `${file.state}: ${file.path}`).join(', '),
    ]);
    this.log(table(['GENERATOR', 'HOOKS', 'NOTE'], rows));
    return statuses;
  }
}
