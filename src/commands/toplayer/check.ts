import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { examineAsAsked } from '../../cli/examine-top-layer.ts';
import { rootFlag, topLayerFlag } from '../../cli/top-layer-flags.ts';
import { findingLines, type TopLayerReport } from '../../cli/top-layer-report.ts';

export default class ToplayerCheck extends ImgbootCommand {
  static override summary = 'Say where a top layer collides with an image';
  static override description =
    'An error stops the boot, or leaves no init; a warning is hardly meant so; a note may well be. Exits with 1 where there are errors or warnings.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> desktop --top-layer LABEL=machine:/top --persist /home --json',
    '<%= config.bin %> <%= command.id %> --root ./rootfs --top-layer ./mine',
  ];
  static override enableJsonFlag = true;
  static override args = { image: Args.string({ description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    ...topLayerFlag,
    ...rootFlag,
    persist: Flags.string({
      summary: 'a persistent directory of the deployment, which hides what is below it; may be given again',
      helpValue: 'PATH[,PATH]',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
  };

  async run(): Promise<Omit<TopLayerReport, 'effects'>> {
    const { args, flags } = await this.parse(ToplayerCheck);
    const { effects: _shownByApply, ...report } = await examineAsAsked('toplayer check', {
      topLayer: flags['top-layer'],
      store: flags.store,
      image: args.image,
      root: flags.root,
      persist: flags.persist.flatMap((text) => text.split(',')),
      measure: process.getuid?.() === 0,
      progress: this.progress,
      signal: this.signal,
    });
    for (const line of findingLines(report.findings)) this.log(line);
    if (report.findings.length === 0) this.log(`${report.topLayer} goes well with ${report.target}`);
    if (report.findings.some(({ level }) => level !== 'note')) process.exitCode = 1;
    return report;
  }
}
