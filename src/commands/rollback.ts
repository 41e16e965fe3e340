import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { rollback } from '../deploy/rollback.ts';
import { Store } from '../store/store.ts';

export default class Rollback extends ImgbootCommand {
  static override summary = 'Go back to the last good version of what is deployed';
  static override description =
    'It is booted by default from now on, with the persistent layer that it had; what it goes back from stays, and another rollback goes back to that. A version can be named instead.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> desktop/1',
  ];
  static override enableJsonFlag = true;
  static override args = {
    version: Args.string({ description: 'such as desktop/3; the last good one if not given' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<{ from: string | null; to: string }> {
    const { args, flags } = await this.parse(Rollback);
    requireRoot('rollback');
    const result = await rollback(Store.open(flags.store), {
      version: args.version,
      progress: this.progress,
      signal: this.signal,
    });
    this.log(
      result.from === result.to
        ? `${result.to} is booted by default already.`
        : `${result.to} is booted by default from now on, in place of ${result.from}.`,
    );
    return result;
  }
}
