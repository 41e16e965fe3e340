import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { findVolume, volumeData, volumeUsers, type Volume } from '../../container/volume/volume.ts';
import { Store } from '../../store/store.ts';

export default class VolumeInspect extends ImgbootCommand {
  static override summary = 'Show all about volumes: where their files are, and who uses them';
  static override examples = ['<%= config.bin %> <%= command.id %> data'];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    volume: Args.string({ required: true, description: 'a volume; several may be given' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<(Volume & { mountpoint: string; containers: string[] })[]> {
    const { argv, flags } = await this.parse(VolumeInspect);
    const store = Store.open(flags.store);
    const users = volumeUsers(store);
    const volumes = (argv as string[]).map((name) => ({
      ...findVolume(store.paths, name),
      mountpoint: volumeData(store.paths, name),
      containers: users.get(name) ?? [],
    }));
    this.log(JSON.stringify(volumes, null, 2));
    return volumes;
  }
}
