import { Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { age, table } from '../../cli/table.ts';
import { listVolumes, volumeUsers, type Volume } from '../../container/volume/volume.ts';
import { Store } from '../../store/store.ts';

export default class VolumeLs extends ImgbootCommand {
  static override summary = 'List the volumes';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override hiddenAliases = ['volume:list'];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    quiet: Flags.boolean({ char: 'q', summary: 'print names only' }),
  };

  async run(): Promise<(Volume & { containers: string[] })[]> {
    const { flags } = await this.parse(VolumeLs);
    const store = Store.open(flags.store);
    const users = volumeUsers(store);
    const volumes = listVolumes(store.paths).map((volume) => ({
      ...volume,
      containers: users.get(volume.name) ?? [],
    }));
    if (flags.quiet) for (const { name } of volumes) this.log(name);
    else {
      const rows = volumes.map(({ name, created, containers }) => [
        name,
        age(created),
        containers.join(', '),
      ]);
      this.log(table(['NAME', 'CREATED', 'CONTAINERS'], rows));
    }
    return volumes;
  }
}
