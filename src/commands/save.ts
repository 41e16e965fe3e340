import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { archiveFormats, saveImage } from '../store/push.ts';
import { Store } from '../store/store.ts';

export default class Save extends ImgbootCommand {
  static override summary = 'Write an image into an archive that docker load and podman load read';
  static override examples = ['<%= config.bin %> <%= command.id %> desktop -o desktop.tar'];
  static override args = { image: Args.string({ required: true, description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    output: Flags.string({ char: 'o', required: true, summary: 'the archive to write' }),
    format: Flags.option({ options: archiveFormats })({
      default: 'docker-archive',
      summary: 'the form of the archive',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Save);
    requireRoot('save');
    await saveImage(Store.open(flags.store), {
      reference: args.image,
      path: flags.output,
      format: flags.format,
      progress: this.progress,
      signal: this.signal,
    });
  }
}
