import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { comparisonLines } from '../../cli/comparison-lines.ts';
import { printable } from '../../cli/table.ts';
import { compareImages, type ImageComparison } from '../../origin/compare-images.ts';
import { Store } from '../../store/store.ts';

export default class ImageDiff extends ImgbootCommand {
  static override summary = 'Show in which packages and files two images differ';
  static override description =
    'A line each: A for what the second alone has, D for what the first alone has, C for what is another, and in what. A version of a deployment (desktop/3) stands for its image.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop/3 desktop:latest',
    '<%= config.bin %> <%= command.id %> debian:bookworm desktop --packages',
  ];
  static override enableJsonFlag = true;
  static override args = {
    before: Args.string({
      required: true,
      description: 'an image of the store, or a version of a deployment',
    }),
    after: Args.string({ required: true, description: 'another' }),
  };
  static override flags = {
    ...storeFlag,
    packages: Flags.boolean({ summary: 'packages only', exclusive: ['files'] }),
    files: Flags.boolean({ summary: 'files only', exclusive: ['packages'] }),
    all: Flags.boolean({
      char: 'a',
      summary: 'each file of new and gone directories, and those that have another time and nothing else',
    }),
  };

  async run(): Promise<ImageComparison> {
    const { args, flags } = await this.parse(ImageDiff);
    requireRoot('image diff');
    const comparison = await compareImages(Store.open(flags.store), {
      ...args,
      packages: !flags.files,
      files: !flags.packages,
      progress: this.progress,
      signal: this.signal,
    });
    for (const note of comparison.notes) this.tell(printable(note));
    this.log(comparisonLines(comparison, flags));
    return comparison;
  }
}
