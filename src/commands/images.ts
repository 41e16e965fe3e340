import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { age, humanSize, table } from '../cli/table.ts';
import { describeImage, type ImageSummary } from '../store/describe.ts';
import type { EngineImageSummary } from '../engine/engine-store.ts';
import { openEngineStore } from '../engine/open-store.ts';
import { engineNames, storedEngineName, type Engine } from '../image/engine-name.ts';
import { Store } from '../store/store.ts';

export default class Images extends ImgbootCommand {
  static override summary = 'List the images of the store';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
    '<%= config.bin %> <%= command.id %> --from docker',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    from: Flags.option({ options: engineNames })({
      summary: "list what another engine's own store has; run, qemu, deploy and others take those, too",
    }),
    quiet: Flags.boolean({ char: 'q', summary: 'print image IDs only' }),
  };

  async run(): Promise<(ImageSummary | EngineImageSummary)[]> {
    const { flags } = await this.parse(Images);
    if (flags.from !== undefined) return await this.#ofEngine(flags.from, flags.quiet);
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
            shortId(image.id),
            age(image.created),
            String(image.layers),
            humanSize(image.blobBytes),
          ]),
        ),
      );
    }
    return images;
  }

  async #ofEngine(engine: Engine, quiet: boolean): Promise<EngineImageSummary[]> {
    const images = (await openEngineStore({ engine, place: undefined })).images();
    const rows = images.flatMap(({ names, id, created, layers, driver }) =>
      names.map((reference) => [
        storedEngineName({ engine, reference, place: undefined }),
        shortId(id),
        age(created),
        String(layers),
        driver,
      ]),
    );
    if (quiet) for (const { id } of images) this.log(id);
    else this.log(table(['IMAGE', 'IMAGE ID', 'CREATED', 'LAYERS', 'DRIVER'], rows));
    return images;
  }
}

/** As docker and podman show it. */
function shortId(id: string): string {
  return id.slice('sha256:'.length, 'sha256:'.length + 12);
}
