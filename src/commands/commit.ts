import { Args, Flags } from '../cli/oclif.ts';
import { commitSubject } from '../cli/commit-subject.ts';
import { commitBooted } from '../drift/commit-booted.ts';
import type { Config } from '../image/manifest.ts';
import { changeConfig } from '../build/change-config.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { commitContainer } from '../container/changes/commit.ts';
import { findContainer } from '../container/record.ts';
import { Store } from '../store/store.ts';

export default class Commit extends ImgbootCommand {
  static override summary = 'Make an image of a container, or of the system that runs';
  static override description =
    'The image has a new layer with what the container has changed. What is mounted in it is not in there, nor are its own /etc/hosts, /etc/hostname and /etc/resolv.conf. With --booted, the layer has what imgboot deployment diff shows.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> web site:2',
    `<%= config.bin %> <%= command.id %> --change 'CMD ["httpd", "-f"]' -m "with the new pages" web site:2`,
    '<%= config.bin %> <%= command.id %> --booted desktop:next',
  ];
  static override enableJsonFlag = true;
  static override args = {
    container: Args.string({ description: 'a container; none with --booted' }),
    image: Args.string({ description: "the new image's name" }),
  };
  static override flags = {
    ...storeFlag,
    booted: Flags.boolean({
      summary: 'of the system that runs, which was booted from an image of this store',
    }),
    change: Flags.string({
      char: 'c',
      summary: 'change the config as this line of a Dockerfile says',
      helpValue: 'INSTRUCTION',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    pause: Flags.boolean({
      char: 'p',
      summary: "stop the container's processes while its files are read",
      default: true,
      allowNo: true,
    }),
    message: Flags.string({ char: 'm', summary: 'a word about it for the history' }),
    author: Flags.string({ char: 'a', summary: 'who made it' }),
    quiet: Flags.boolean({ char: 'q', summary: 'do not tell what is being done' }),
  };

  async run(): Promise<{ id: string }> {
    // podman's and docker's way to write it.
    const words = this.argv.map((word) =>
      word.replace(/^(?:--pause|-p)=false$/, '--no-pause').replace(/^(?:--pause|-p)=true$/, '--pause'),
    );
    const { args, flags } = await this.parse(Commit, words);
    requireRoot('commit');
    const store = Store.open(flags.store);
    const { reference, container } = commitSubject(args, flags.booted);
    const common = {
      reference,
      configure: (config: Config) => changeConfig(config, flags.change),
      message: flags.message,
      author: flags.author,
      ...(flags.quiet ? {} : { progress: this.progress }),
      signal: this.signal,
    };
    const id =
      container === undefined
        ? await commitBooted(store, common)
        : await commitContainer(store, findContainer(store, container), { ...common, pause: flags.pause });
    this.log(id);
    return { id };
  }
}
