import { Args, Flags } from '@oclif/core';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { ImgbootError } from '../errors.ts';
import { exportRootfs } from '../store/export.ts';
import { Store } from '../store/store.ts';

export default class Export extends ImgbootCommand {
  static override summary = "Write an image's root file system as one tar";
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop -o rootfs.tar',
    '<%= config.bin %> <%= command.id %> desktop | tar -t',
  ];
  static override args = { image: Args.string({ required: true, description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    output: Flags.string({ char: 'o', summary: 'the tar to write; standard output by default' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Export);
    requireRoot('export');
    if (flags.output === undefined && process.stdout.isTTY) {
      throw new ImgbootError('IMGBOOT_USAGE', 'a tar is nothing for a terminal', {
        hint: 'name a file with -o, or pipe it',
      });
    }
    await exportRootfs(Store.open(flags.store), {
      reference: args.image,
      path: flags.output,
      progress: this.progress,
      signal: this.signal,
    });
  }
}
