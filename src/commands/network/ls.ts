import { Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { table } from '../../cli/table.ts';
import { NetworkState } from '../../container/network/network-state.ts';
import { describeNetwork, type NetworkDescription } from '../../container/network/networks.ts';
import { Store } from '../../store/store.ts';

export default class NetworkLs extends ImgbootCommand {
  static override summary = 'List the networks';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override hiddenAliases = ['network:list'];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    quiet: Flags.boolean({ char: 'q', summary: 'print names only' }),
  };

  async run(): Promise<NetworkDescription[]> {
    const { flags } = await this.parse(NetworkLs);
    const state = new NetworkState(Store.open(flags.store).paths);
    const networks = state.networks().map((network) => describeNetwork(state, network));
    if (flags.quiet) for (const { name } of networks) this.log(name);
    else {
      const rows = networks.map(({ id, name, subnet, containers }) => [
        id,
        name,
        subnet,
        containers.map((container) => container.name).join(', '),
      ]);
      this.log(table(['NETWORK ID', 'NAME', 'SUBNET', 'CONTAINERS'], rows));
    }
    return networks;
  }
}
