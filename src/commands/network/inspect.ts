import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { NetworkState } from '../../container/network/network-state.ts';
import { describeNetwork, type NetworkDescription } from '../../container/network/networks.ts';
import { Store } from '../../store/store.ts';

export default class NetworkInspect extends ImgbootCommand {
  static override summary = 'Show all about networks, and who is on them';
  static override examples = ['<%= config.bin %> <%= command.id %> bridge'];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    network: Args.string({ required: true, description: 'a network; several may be given' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<NetworkDescription[]> {
    const { argv, flags } = await this.parse(NetworkInspect);
    const state = new NetworkState(Store.open(flags.store).paths);
    const networks = (argv as string[]).map((name) => describeNetwork(state, state.network(name)));
    this.log(JSON.stringify(networks, null, 2));
    return networks;
  }
}
