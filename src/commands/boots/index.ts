import { Args } from '../../cli/oclif.ts';
import { bootTable } from '../../cli/boot-table.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { listBoots, type BootSummary } from '../../boot/boot-summary.ts';

export default class Boots extends ImgbootCommand {
  static override summary = 'List the boots whose reports are kept, the latest first';
  static override description =
    'The last twenty of each deployment, and of each image that was booted without one; what was booted into RAM without a deployment leaves none. SECONDS is what kernel and initramfs took.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> desktop/3 --json',
  ];
  static override enableJsonFlag = true;
  static override args = {
    name: Args.string({ description: 'a deployment, a version of it, or an image: only its boots' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<BootSummary[]> {
    const { args, flags } = await this.parse(Boots);
    const boots = listBoots(flags.store, args.name);
    this.log(bootTable(boots));
    return boots;
  }
}
