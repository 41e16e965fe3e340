import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { driverFlag, registryFlags, registryOptions } from '../cli/flags.ts';
import { imageName } from '../image/transport.ts';
import { pullImage } from '../store/pull.ts';
import { Store } from '../store/store.ts';

export default class Pull extends ImgbootCommand {
  static override summary = 'Copy an image from a registry, or from anywhere skopeo reaches';
  static override description =
    'IMAGE is a reference in a registry, or has a transport of containers-transports(5): docker://, docker-daemon:, containers-storage:, oci:, oci-archive:, docker-archive:, dir:.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> docker.io/library/debian:bookworm',
    '<%= config.bin %> <%= command.id %> docker-daemon:desktop:latest',
    '<%= config.bin %> <%= command.id %> oci:layout:desktop --name desktop',
  ];
  static override args = {
    image: Args.string({ required: true, description: 'the image, with or without a transport' }),
  };
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    ...registryFlags,
    name: Flags.string({ summary: 'its name in the store; the one it has elsewhere by default' }),
    platform: Flags.string({
      summary: "the platform to take; this machine's by default",
      helpValue: 'OS/ARCH[/VARIANT]',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Pull);
    requireRoot('pull');
    const image = await pullImage(Store.openOrCreate(flags.store, flags.driver), {
      from: imageName(args.image),
      reference: flags.name,
      platform: flags.platform,
      ...registryOptions(flags),
      progress: this.progress,
      signal: this.signal,
    });
    this.log(image.id);
  }
}
