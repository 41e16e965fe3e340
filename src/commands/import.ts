import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { driverFlag } from '../cli/flags.ts';
import { importRootfs, rootfsSource } from '../store/import.ts';
import { Store } from '../store/store.ts';

export default class Import extends ImgbootCommand {
  static override summary = 'Make an image of one layer from a root file system';
  static override description =
    'SOURCE is a tar (plain, or compressed with gzip, zstd, xz, bzip2 or lz4), a directory, or - for standard input.';
  static override examples = [
    'docker export web | <%= config.bin %> <%= command.id %> - web:exported',
    '<%= config.bin %> <%= command.id %> rootfs.tar.gz desktop',
  ];
  static override args = {
    source: Args.string({ required: true, description: 'a tar, a directory, or -' }),
    reference: Args.string({ required: true, description: 'the name of the image' }),
  };
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    message: Flags.string({ char: 'm', summary: "what the image's history says" }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Import);
    requireRoot('import');
    const image = await importRootfs(Store.openOrCreate(flags.store, flags.driver), {
      source: rootfsSource(args.source),
      reference: args.reference,
      createdBy: flags.message ?? `imgboot import ${args.source}`,
      progress: this.progress,
      signal: this.signal,
    });
    this.log(image.id);
  }
}
