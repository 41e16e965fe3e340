import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { age, humanSize, table } from '../cli/table.ts';
import { describeImage, type ImageSummary } from '../store/describe.ts';
import { Store } from '../store/store.ts';

export default class Images extends ImgbootCommand {
  static override summary = 'List the images of the store';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    quiet: Flags.boolean({ char: 'q', summary: 'print image IDs only' }),
  };

  async run(): Promise<ImageSummary[]> {
    const { flags } = await this.parse(Images);
    const images = Store.open(flags.store)
      .images((image) => this.tell(`imgboot: ${image.name}: ${image.error.message}`))
      .map(describeImage);
    if (flags.quiet) for (const image of images) this.log(image.id);
    else {
      this.log(
        table(
          ['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'LAYERS', 'SIZE'],
          images.map((image) => [
            image.repository ?? '<none>',
            image.tag ?? '<none>',
            image.id.slice('sha256:'.length, 'sha256:'.length + 12),
            age(image.created),
            String(image.layers),
            humanSize(image.blobBytes),
          ]),
        ),
      );
    }
    return images;
  }
}
