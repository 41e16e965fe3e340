import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { collisionLines } from '../cli/top-layer-report.ts';
import { describeGate, gateFlags, readGate } from '../cli/gate-flags.ts';
import { registryFlags, registryOptions } from '../cli/flags.ts';
import type { Deployed } from '../deploy/deploy.ts';
import { switchImage } from '../deploy/upgrade.ts';
import { Store } from '../store/store.ts';

export default class Switch extends ImgbootCommand {
  static override summary = 'Have a deployment follow another image from now on';
  static override description =
    'Makes a version of it, which is booted by default; an image that is not in the store is pulled where its reference has a registry. Persistent directories, top layer and kernel command line stay.';
  static override examples = ['<%= config.bin %> <%= command.id %> registry.example/desktop:testing'];
  static override enableJsonFlag = true;
  static override args = {
    image: Args.string({ required: true, description: 'the image, by its reference' }),
  };
  static override flags = {
    ...storeFlag,
    name: Flags.string({ summary: 'the deployment; the one that is booted by default if not given' }),
    ...registryFlags,
    ...gateFlags,
  };

  async run(): Promise<Deployed> {
    const { args, flags } = await this.parse(Switch);
    requireRoot('switch');
    const gate = await readGate(flags);
    const deployed = await switchImage(Store.open(flags.store), {
      name: flags.name,
      reference: args.image,
      ...registryOptions(flags),
      gate,
      progress: this.progress,
      signal: this.signal,
    });
    for (const line of collisionLines(deployed.collisions)) this.tell(line);
    this.log(`${deployed.id} is booted by default from now on (kernel ${deployed.kver}).`);
    for (const line of deployed.gate === undefined ? [] : describeGate(deployed.gate)) this.log(line);
    for (const id of deployed.removed) this.log(`Removed: ${id}`);
    return deployed;
  }
}
