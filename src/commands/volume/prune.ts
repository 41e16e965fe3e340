import { Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { confirm } from '../../cli/confirm.ts';
import { pruneVolumes, type Volume } from '../../container/volume/volume.ts';
import { Store } from '../../store/store.ts';

export default class VolumePrune extends ImgbootCommand {
  static override summary = 'Remove every volume that no container uses, with all its files';
  static override examples = ['<%= config.bin %> <%= command.id %> --dry-run'];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    'dry-run': Flags.boolean({ char: 'n', summary: 'only say what would be removed' }),
    force: Flags.boolean({ char: 'f', summary: 'do not ask' }),
  };

  async run(): Promise<Volume[]> {
    const { flags } = await this.parse(VolumePrune);
    requireRoot('volume prune');
    const store = Store.open(flags.store);
    const options = { progress: this.progress, signal: this.signal };
    const unused = await pruneVolumes(store, { ...options, dryRun: true });
    if (flags['dry-run'] || unused.length === 0) {
      for (const { name } of unused) this.log(name);
      return unused;
    }
    if (!flags.force) await confirm(`Remove ${unused.map(({ name }) => name).join(', ')}?`);
    const removed = await pruneVolumes(store, { ...options, dryRun: false });
    for (const { name } of removed) this.log(name);
    return removed;
  }
}
