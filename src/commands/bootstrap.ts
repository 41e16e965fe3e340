import { Args, Flags } from '../cli/oclif.ts';
import { bootstrapDebian, kernels } from '../build/bootstrap.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { driverFlag } from '../cli/flags.ts';
import { Store } from '../store/store.ts';

export default class Bootstrap extends ImgbootCommand {
  static override summary = 'Make a bootable Debian image from its package archive, with mmdebstrap';
  static override description =
    'The image has a kernel, systemd, udev and the tools to work from its console.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> bookworm',
    '<%= config.bin %> <%= command.id %> trixie -t desktop-base --include openssh-server,sudo',
  ];
  static override args = {
    suite: Args.string({ required: true, description: 'bookworm, trixie, sid, ...' }),
  };
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    tag: Flags.string({ char: 't', summary: 'the name of the image; debian:SUITE by default' }),
    include: Flags.string({
      summary: 'further packages',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: [],
    }),
    kernel: Flags.option({ options: kernels })({ default: 'generic', summary: 'which kernel package' }),
    mirror: Flags.string({
      summary: "the package archive; mmdebstrap's default otherwise",
      helpValue: 'URL',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Bootstrap);
    requireRoot('bootstrap');
    const image = await bootstrapDebian(Store.openOrCreate(flags.store, flags.driver), {
      suite: args.suite,
      reference: flags.tag,
      kernel: flags.kernel,
      include: flags.include,
      mirror: flags.mirror,
      progress: this.progress,
      signal: this.signal,
    });
    this.log(image.id);
  }
}
