import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { registryFlags, registryOptions } from '../cli/flags.ts';
import { imageName } from '../image/transport.ts';
import { pushImage } from '../store/push.ts';
import { Store } from '../store/store.ts';

export default class Push extends ImgbootCommand {
  static override summary = 'Copy an image to a registry, or to anywhere skopeo reaches';
  static override examples = [
    '<%= config.bin %> <%= command.id %> registry.example/desktop:latest',
    '<%= config.bin %> <%= command.id %> desktop docker-daemon:desktop:latest',
  ];
  static override args = {
    image: Args.string({ required: true, description: 'an image of the store' }),
    destination: Args.string({
      description: "where to, with or without a transport; the image's own name by default",
    }),
  };
  static override flags = { ...storeFlag, ...registryFlags };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Push);
    requireRoot('push');
    await pushImage(Store.open(flags.store), {
      reference: args.image,
      to: imageName(args.destination ?? args.image),
      ...registryOptions(flags),
      progress: this.progress,
      signal: this.signal,
    });
  }
}
