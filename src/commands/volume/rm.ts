import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { removeVolume } from '../../container/volume/volume.ts';
import { Store } from '../../store/store.ts';

export default class VolumeRm extends ImgbootCommand {
  static override summary = 'Remove volumes, with all their files, that no container uses';
  static override examples = ['<%= config.bin %> <%= command.id %> data'];
  static override hiddenAliases = ['volume:remove'];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    volume: Args.string({ required: true, description: 'a volume; several may be given' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<string[]> {
    const { argv, flags } = await this.parse(VolumeRm);
    requireRoot('volume rm');
    const store = Store.open(flags.store);
    for (const name of argv as string[]) {
      await removeVolume(store, { name, progress: this.progress, signal: this.signal });
      this.log(name);
    }
    return argv as string[];
  }
}
