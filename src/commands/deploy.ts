import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { collisionLines } from '../cli/top-layer-report.ts';
import { bootFlags, findFlags, moduleFlags, readBootFlags } from '../cli/deploy-flags.ts';
import { describeGate, gateFlags, readGate } from '../cli/gate-flags.ts';
import { storeWithImage } from '../cli/store-with-image.ts';
import { deployImage, type Deployed } from '../deploy/deploy.ts';

export default class Deploy extends ImgbootCommand {
  static override summary = 'Make this machine boot an image';
  static override description =
    'Makes kernel, initramfs and boot entries from the image, and makes it the default for the next boot. An image deployed again under its name is a new version; the last ones are kept, and `rollback` goes back. On a machine with a system of its own, that and its boot entries stay as they are; `undeploy` takes away what was added.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> desktop --persist /home --top-layer /etc/imgboot/top --append quiet',
    '<%= config.bin %> <%= command.id %> desktop --gate --gate-test desktop.test.yaml',
    '<%= config.bin %> <%= command.id %> registry.example/kiosk:stable --name kiosk --writable ram --keep 3',
  ];
  static override enableJsonFlag = true;
  static override args = { image: Args.string({ required: true, description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    name: Flags.string({ summary: "of the deployment; the image's by default" }),
    ...bootFlags,
    keep: Flags.integer({ summary: 'how many of its newest versions are kept', default: 2, min: 1 }),
    ...moduleFlags,
    ...findFlags,
    ...gateFlags,
  };

  async run(): Promise<Deployed> {
    const { args, flags } = await this.parse(Deploy);
    requireRoot('deploy');
    const gate = await readGate(flags);
    const taking = { progress: this.progress, signal: this.signal };
    const { store, reference } = await storeWithImage(flags.store, args.image, taking);
    const deployed = await deployImage(store, {
      reference,
      name: flags.name,
      keep: flags.keep,
      ...(await readBootFlags(store, flags)),
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
