import { removeHooks } from '../../boot/hooks.ts';
import { ImgbootCommand, requireRoot } from '../../cli/base-command.ts';
import { confirm } from '../../cli/confirm.ts';
import { hookArgs, hookRootFlag, readGenerators } from '../../cli/hook-flags.ts';

export default class HooksRemove extends ImgbootCommand {
  static override summary = 'Take the hooks away from dracut, initramfs-tools and mkinitcpio';
  static override description =
    'Names generators, or takes all that have them. Files that somebody changed stay, and are named.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --root ./rootfs dracut',
  ];
  static override strict = false;
  static override args = hookArgs;
  static override flags = { ...hookRootFlag };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(HooksRemove);
    const generators = readGenerators(argv);
    if (flags.root === '/') requireRoot('removing hooks');
    const of = generators.length === 0 ? 'all generators' : generators.join(', ');
    await confirm(
      `Remove the hooks of ${of} from ${flags.root}? Images that are made from then on do not boot from a store.`,
    );
    for (const line of await removeHooks({ root: flags.root, generators })) this.log(line);
  }
}
