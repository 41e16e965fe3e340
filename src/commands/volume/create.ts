import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { driverFlag } from '../../cli/flags.ts';
import { anonymousVolumeName, createVolume, type Volume } from '../../container/volume/volume.ts';
import { Store } from '../../store/store.ts';

export default class VolumeCreate extends ImgbootCommand {
  static override summary = 'Make a volume: a directory that outlives the containers that use it';
  static override description =
    'run -v NAME:/PATH makes a volume that is not there, too. The first container that mounts it puts into it what its image has at that path.';
  static override examples = ['<%= config.bin %> <%= command.id %> data'];
  static override enableJsonFlag = true;
  static override args = { name: Args.string({ description: 'a name that no volume has; one is made up' }) };
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    label: Flags.string({
      char: 'l',
      summary: 'a word about it',
      helpValue: 'KEY=VALUE',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
  };

  async run(): Promise<Volume> {
    const { args, flags } = await this.parse(VolumeCreate);
    requireRoot('volume create');
    const volume = await createVolume(Store.openOrCreate(flags.store, flags.driver), {
      name: args.name ?? anonymousVolumeName(),
      labels: Object.fromEntries(
        flags.label.map((label) => {
          const [key = '', value = ''] = label.split(/=(.*)/s, 2);
          return [key, value];
        }),
      ),
      progress: this.progress,
      signal: this.signal,
    });
    this.log(volume.name);
    return volume;
  }
}
