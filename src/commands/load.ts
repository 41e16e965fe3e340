import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { driverFlag } from '../cli/flags.ts';
import { loadArchive } from '../store/load.ts';
import { Store } from '../store/store.ts';

export default class Load extends ImgbootCommand {
  static override summary = 'Load images from an archive of docker save, podman save or skopeo';
  static override description =
    'Reads a docker-archive, an oci-archive or an OCI layout directory; standard input without --input.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> -i desktop.tar',
    'docker save desktop | <%= config.bin %> <%= command.id %>',
  ];
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    input: Flags.string({ char: 'i', summary: 'the archive or layout directory' }),
    name: Flags.string({ summary: 'the name for an image that has none in the archive' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Load);
    requireRoot('load');
    const loaded = await loadArchive(Store.openOrCreate(flags.store, flags.driver), {
      source:
        flags.input === undefined || flags.input === '-'
          ? { kind: 'stream', stream: process.stdin }
          : { kind: 'path', path: flags.input },
      reference: flags.name,
      progress: this.progress,
      signal: this.signal,
    });
    for (const image of loaded) this.log(`Loaded image: ${image.reference}`);
  }
}
