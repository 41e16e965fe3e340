import { ImgbootCommand, requireRoot } from '../cli/base-command.ts';
import { bless } from '../deploy/bless.ts';

export default class Bless extends ImgbootCommand {
  static override summary = 'Find the running boot of a deployment good';
  static override description =
    'A new version has three boots to show itself good; then the last good one is booted in its place. Where systemd is the init, this is done when it has reached its target; another init calls this command, or /run/initramfs/bless, when its system is up.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<void> {
    await this.parse(Bless);
    requireRoot('bless');
    await bless();
  }
}
