import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { printable } from '../cli/table.ts';
import { diffContainer, type PathChange } from '../container/changes/diff.ts';
import { findContainer } from '../container/record.ts';
import { Store } from '../store/store.ts';

const letters = { added: 'A', changed: 'C', deleted: 'D' } as const;

export default class Diff extends ImgbootCommand {
  static override summary = "List what a container has changed of its image's files";
  static override description = 'A line each: A for what is new, C for what was changed, D for what is gone.';
  static override examples = ['<%= config.bin %> <%= command.id %> web'];
  static override enableJsonFlag = true;
  static override args = { container: Args.string({ required: true, description: 'a container' }) };
  static override flags = { ...storeFlag };

  async run(): Promise<PathChange[]> {
    const { args, flags } = await this.parse(Diff);
    requireRoot('diff');
    const store = Store.open(flags.store);
    const changes = await diffContainer(store, findContainer(store, args.container), {
      progress: this.progress,
      signal: this.signal,
    });
    for (const { kind, path } of changes) this.log(`${letters[kind]} ${printable(path)}`);
    return changes;
  }
}
