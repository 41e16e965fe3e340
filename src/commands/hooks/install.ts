import { Flags } from '../../cli/oclif.ts';
import { installHooks } from '../../boot/hooks.ts';
import { ImgbootCommand, requireRoot } from '../../cli/base-command.ts';
import { hookArgs, hookRootFlag, readGenerators } from '../../cli/hook-flags.ts';

export default class HooksInstall extends ImgbootCommand {
  static override summary = 'Put the boot of images into what dracut, initramfs-tools and mkinitcpio make';
  static override description =
    'Names generators, or takes those that are there. Their configuration stays as it is, and so do the images that they have made: make them again after this. hooks/install, a shell script beside imgboot, does the same without Node.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --root ./rootfs initramfs-tools',
    '<%= config.bin %> <%= command.id %> --enable mkinitcpio',
  ];
  static override strict = false;
  static override args = hookArgs;
  static override flags = {
    ...hookRootFlag,
    enable: Flags.boolean({
      summary: 'put the hook into HOOKS of mkinitcpio.conf, too, the old file kept beside it',
    }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(HooksInstall);
    const generators = readGenerators(argv);
    if (flags.root === '/') requireRoot('installing hooks');
    const { root, enable } = flags;
    for (const line of await installHooks({ root, generators, enable })) this.log(line);
  }
}
