import { Args, Flags } from '../cli/oclif.ts';
import { checkImage } from '../boot/check-image.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { bootFindingLines } from '../cli/boot-findings.ts';
import { inspectContainer } from '../container/inspect.ts';
import { findContainer, tryFindContainer } from '../container/record.ts';
import { inspectImage } from '../store/describe.ts';
import { Store } from '../store/store.ts';

export default class Inspect extends ImgbootCommand {
  static override summary =
    'Show all that is known of an image or container, as JSON, or whether an image boots';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> desktop --boot',
  ];
  static override enableJsonFlag = true;
  static override args = {
    image: Args.string({ required: true, description: 'a container, or an image of the store' }),
  };
  static override flags = {
    ...storeFlag,
    type: Flags.option({ options: ['container', 'image'] as const })({
      summary: 'what it is, where both have the name; a container by default',
    }),
    boot: Flags.boolean({
      summary: 'say whether it boots, and what to add where it does not; exits with 1 then',
    }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Inspect);
    const store = Store.open(flags.store);
    if (flags.boot) return this.#boot(store, args.image);
    const facts = inspectAny(store, args.image, flags.type);
    this.log(JSON.stringify(facts, null, 2));
    return facts;
  }

  async #boot(store: Store, reference: string): Promise<object> {
    requireRoot('inspect --boot');
    const findings = await checkImage(store, { reference, progress: this.progress, signal: this.signal });
    for (const line of bootFindingLines(reference, findings)) this.log(line);
    if (findings.some(({ level }) => level === 'error')) process.exitCode = 1;
    return findings;
  }
}

function inspectAny(store: Store, name: string, type: 'container' | 'image' | undefined): object {
  if (type === 'container') return inspectContainer(store, findContainer(store, name));
  const container = type === 'image' ? undefined : tryFindContainer(store, name);
  return container === undefined
    ? inspectImage(store, store.image(name))
    : inspectContainer(store, container);
}
