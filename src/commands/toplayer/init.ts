import { Args } from '../../cli/oclif.ts';
import { ImgbootCommand } from '../../cli/base-command.ts';
import { topLayerFlag } from '../../cli/top-layer-flags.ts';
import { findTopLayer } from '../../deploy/top-layer.ts';
import { initTopLayer } from '../../top-layer/init.ts';

export default class ToplayerInit extends ImgbootCommand {
  static override summary = 'Make an empty top layer, and say what of this machine belongs there';
  static override description =
    "A directory that only its owner can look into; its own mode is not applied. What is in it is copied over the image at each boot, with its owners and modes: give a directory that the image has, such as etc, the image's.";
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> ./mine',
  ];
  static override enableJsonFlag = true;
  static override args = {
    dir: Args.string({ description: 'the directory; that of --top-layer if not given' }),
  };
  static override flags = { ...topLayerFlag };

  async run(): Promise<{ path: string; suggestions: string[] }> {
    const { args, flags } = await this.parse(ToplayerInit);
    const made = initTopLayer(findTopLayer(args.dir ?? flags['top-layer']));
    this.log(
      `${made.path} is there, and empty. imgboot deploy IMAGE --top-layer ${made.path} has it applied.`,
    );
    if (made.suggestions.length > 0)
      this.log(
        `What makes this machine the one that it is:\n  imgboot toplayer add ${made.suggestions.map(quoted).join(' ')}`,
      );
    return made;
  }
}

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
