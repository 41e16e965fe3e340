import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { age, humanSize, table } from '../cli/table.ts';
import { imageHistory, type HistoryStep } from '../store/describe.ts';
import { Store } from '../store/store.ts';

export default class History extends ImgbootCommand {
  static override summary = 'Show how an image was made, latest step first';
  static override examples = ['<%= config.bin %> <%= command.id %> desktop'];
  static override enableJsonFlag = true;
  static override args = { image: Args.string({ required: true, description: 'an image of the store' }) };
  static override flags = { ...storeFlag };

  async run(): Promise<HistoryStep[]> {
    const { args, flags } = await this.parse(History);
    const steps = imageHistory(Store.open(flags.store).image(args.image));
    const rows = steps.map((step) => [age(step.created), humanSize(step.blobBytes), step.createdBy]);
    this.log(table(['CREATED', 'SIZE', 'CREATED BY'], rows));
    return steps;
  }
}
