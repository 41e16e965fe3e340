import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { removeNetwork } from '../../container/network/remove-network.ts';
import { Store } from '../../store/store.ts';

export default class NetworkRm extends ImgbootCommand {
  static override summary = 'Remove networks that no container is on';
  static override examples = ['<%= config.bin %> <%= command.id %> backend'];
  static override hiddenAliases = ['network:remove'];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    network: Args.string({ required: true, description: 'a network; several may be given' }),
  };
  static override flags = {
    ...storeFlag,
    force: Flags.boolean({ char: 'f', summary: 'running containers lose their interface on it' }),
  };

  async run(): Promise<string[]> {
    const { argv, flags } = await this.parse(NetworkRm);
    requireRoot('network rm');
    const store = Store.open(flags.store);
    const removed: string[] = [];
    for (const name of argv as string[]) {
      const options = { name, force: flags.force, progress: this.progress, signal: this.signal };
      const gone = await removeNetwork(store, options);
      removed.push(gone);
      this.log(gone);
    }
    return removed;
  }
}
