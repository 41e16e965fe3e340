import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { collisionLines } from '../cli/top-layer-report.ts';
import { noCollisions } from '../deploy/collisions.ts';
import { describeGate, gateFlags, readGate } from '../cli/gate-flags.ts';
import { registryFlags, registryOptions } from '../cli/flags.ts';
import { checkUpgrade, upgrade, type Upgraded } from '../deploy/upgrade.ts';
import { Store } from '../store/store.ts';

export default class Upgrade extends ImgbootCommand {
  static override summary = 'Deploy the newest image of the reference that a deployment follows';
  static override description =
    'A reference with a registry (registry.example/desktop) is looked up there, and pulled when it has changed; any other is the image of that name in the store. What is booted with it stays as it is. The running system is not changed: the new version is booted next time, and has three boots to show itself good.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --check',
    '<%= config.bin %> <%= command.id %> --gate',
    '<%= config.bin %> <%= command.id %> kiosk --authfile /etc/imgboot/auth.json',
  ];
  static override enableJsonFlag = true;
  static override args = {
    name: Args.string({ description: 'the deployment; the one that is booted by default if not given' }),
  };
  static override flags = {
    ...storeFlag,
    check: Flags.boolean({ summary: 'only say whether there is a newer image' }),
    ...registryFlags,
    ...gateFlags,
  };

  async run(): Promise<Upgraded> {
    const { args, flags } = await this.parse(Upgrade);
    requireRoot('upgrade');
    const store = Store.open(flags.store);
    const gate = await readGate(flags);
    const act = flags.check ? checkUpgrade : upgrade;
    const upgraded = await act(store, {
      name: args.name,
      ...registryOptions(flags),
      gate,
      progress: this.progress,
      signal: this.signal,
    });
    for (const line of collisionLines(upgraded.collisions ?? noCollisions)) this.tell(line);
    this.log(this.#words(upgraded));
    const report = upgraded.deployed?.gate;
    for (const line of report === undefined ? [] : describeGate(report)) this.log(line);
    for (const id of upgraded.deployed?.removed ?? []) this.log(`Removed: ${id}`);
    return upgraded;
  }

  #words({ id, reference, newer, deployed }: Upgraded): string {
    if (deployed !== undefined) return `${id} is booted by default from now on (kernel ${deployed.kver}).`;
    return newer ? `There is a newer ${reference} than that of ${id}.` : `${id} has the newest ${reference}.`;
  }
}
