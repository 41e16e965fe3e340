import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { checkContainers } from '../container/check-containers.ts';
import { fsck, type Problem } from '../store/fsck.ts';
import { Store } from '../store/store.ts';

export default class Fsck extends ImgbootCommand {
  static override summary = 'Prove that the store is whole';
  static override description =
    'Every blob is hashed, every layer is unpacked again beside itself and compared. Exits with 1 when something is wrong and not repaired.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --repair',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    repair: Flags.boolean({
      summary: 'unpack damaged layers again, delete damaged blobs and what nothing uses',
    }),
  };

  async run(): Promise<Problem[]> {
    const { flags } = await this.parse(Fsck);
    requireRoot('fsck');
    const store = Store.open(flags.store);
    const { repair } = flags;
    const problems = await fsck(store, { repair, progress: this.progress, signal: this.signal });
    problems.push(...(await checkContainers(store, { repair })));
    for (const problem of problems) {
      this.log(
        `${problem.kind} ${problem.subject}: ${problem.message}${problem.repaired ? ' (repaired)' : ''}`,
      );
    }
    if (problems.length === 0) this.log(`${flags.store} is whole`);
    if (problems.some((problem) => !problem.repaired)) process.exitCode = 1;
    return problems;
  }
}
