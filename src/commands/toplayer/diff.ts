import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { examineAsAsked } from '../../cli/examine-top-layer.ts';
import { rootFlag, topLayerFlag } from '../../cli/top-layer-flags.ts';
import { effectLine, safeText, type TopLayerReport } from '../../cli/top-layer-report.ts';

export default class ToplayerDiff extends ImgbootCommand {
  static override summary = 'Show what a top layer has otherwise than an image, or than the running system';
  static override description =
    'File by file, texts with their lines. Without an image it is the running system: what somebody has changed there since, or not yet put into the top layer. What not everybody may read is never shown. Times do not count.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> --root ./rootfs --top-layer ./mine --json',
  ];
  static override enableJsonFlag = true;
  static override args = {
    image: Args.string({ description: 'an image of the store; the running system if not given' }),
  };
  static override flags = { ...storeFlag, ...topLayerFlag, ...rootFlag };

  async run(): Promise<TopLayerReport> {
    const { args, flags } = await this.parse(ToplayerDiff);
    const report = await examineAsAsked('toplayer diff', {
      topLayer: flags['top-layer'],
      store: flags.store,
      image: args.image,
      root: flags.root ?? (args.image === undefined ? '/' : undefined),
      texts: true,
      progress: this.progress,
      signal: this.signal,
    });
    const effects = report.effects.filter(({ action }) => action !== 'same' && action !== 'skip');
    for (const effect of effects) {
      this.log(effectLine(effect));
      if (effect.difference !== undefined) this.log(safeText(effect.difference));
    }
    return { ...report, effects };
  }
}
