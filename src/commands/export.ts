import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { exportContainer } from '../container/changes/copy-rootfs.ts';
import { tryFindContainer } from '../container/record.ts';
import { ImgbootError } from '../errors.ts';
import { exportRootfs } from '../store/export.ts';
import { Store } from '../store/store.ts';

export default class Export extends ImgbootCommand {
  static override summary = 'Write the root file system of a container or an image as one tar';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop -o rootfs.tar',
    '<%= config.bin %> <%= command.id %> desktop | tar -t',
  ];
  static override args = {
    name: Args.string({ required: true, description: 'a container, or an image of the store' }),
  };
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
    const store = Store.open(flags.store);
    const options = { path: flags.output, progress: this.progress, signal: this.signal };
    const container = tryFindContainer(store, args.name);
    if (container === undefined) await exportRootfs(store, { ...options, reference: args.name });
    else await exportContainer(store, container, options);
  }
}
