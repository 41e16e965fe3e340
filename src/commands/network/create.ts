import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { driverFlag } from '../../cli/flags.ts';
import type { Network } from '../../container/network/network-state.ts';
import { createNetwork } from '../../container/network/networks.ts';
import { Store } from '../../store/store.ts';

export default class NetworkCreate extends ImgbootCommand {
  static override summary = 'Make a network for containers';
  static override description =
    'The containers of a network reach each other by address and by name, and the world through the host. The network "bridge" is made by the first container that needs one.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> backend',
    '<%= config.bin %> <%= command.id %> --subnet 10.89.7.0/24 --internal secluded',
  ];
  static override enableJsonFlag = true;
  static override args = { name: Args.string({ required: true, description: 'a name that no network has' }) };
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    subnet: Flags.string({ summary: 'its IPv4 network; a free one by default', helpValue: 'ADDRESS/PREFIX' }),
    gateway: Flags.string({ summary: "the host's address in it; the first one by default" }),
    internal: Flags.boolean({ summary: 'nothing beyond it is reached' }),
    'disable-dns': Flags.boolean({ summary: 'its containers do not find each other by name' }),
  };

  async run(): Promise<Network> {
    const { args, flags } = await this.parse(NetworkCreate);
    requireRoot('network create');
    const { paths } = Store.openOrCreate(flags.store, flags.driver);
    const network = await createNetwork(paths, {
      name: args.name,
      subnet: flags.subnet,
      gateway: flags.gateway,
      internal: flags.internal,
      dns: !flags['disable-dns'],
      progress: this.progress,
      signal: this.signal,
    });
    this.log(network.name);
    return network;
  }
}
