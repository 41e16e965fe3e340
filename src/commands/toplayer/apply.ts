import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { examineAsAsked } from '../../cli/examine-top-layer.ts';
import { rootFlag, topLayerFlag } from '../../cli/top-layer-flags.ts';
import { countLine, effectLine, findingLines, type TopLayerReport } from '../../cli/top-layer-report.ts';
import { ImgbootError } from '../../errors.ts';

export default class ToplayerApply extends ImgbootCommand {
  static override summary = 'Show, path by path, what a boot makes of an image with a top layer';
  static override description = `Nothing is changed: a top layer is applied by the boot.

add: the image has nothing there. replace: another file. alter: the same content, or a directory of the image, with other attributes. merge: an account file with the names of both. delete: what .wh. names name. same: but for the time. skip: not copied.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run desktop',
    '<%= config.bin %> <%= command.id %> --dry-run --root ./rootfs --top-layer ./mine --json',
  ];
  static override enableJsonFlag = true;
  static override args = { image: Args.string({ description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    ...topLayerFlag,
    ...rootFlag,
    'dry-run': Flags.boolean({ summary: 'only say what would be done; nothing else can be done here' }),
  };

  async run(): Promise<TopLayerReport> {
    const { args, flags } = await this.parse(ToplayerApply);
    if (!flags['dry-run'])
      throw new ImgbootError(
        'IMGBOOT_USAGE',
        'a top layer is applied by the boot, to a root that nobody uses yet',
        {
          hint: 'imgboot toplayer apply --dry-run IMAGE says what it does; imgboot deploy --top-layer has it done',
        },
      );
    const report = await examineAsAsked('toplayer apply', {
      topLayer: flags['top-layer'],
      store: flags.store,
      image: args.image,
      root: flags.root,
      measure: process.getuid?.() === 0,
      progress: this.progress,
      signal: this.signal,
    });
    for (const effect of report.effects) this.log(effectLine(effect));
    this.log(
      `${countLine(report.counts)}${report.digest === null ? '' : `; ${report.files} files, ${report.digest}`}`,
    );
    const errors = report.findings.filter(({ level }) => level === 'error');
    for (const line of findingLines(errors)) this.tell(line);
    if (errors.length > 0) process.exitCode = 1;
    return report;
  }
}
