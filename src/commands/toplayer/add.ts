import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot } from '../../cli/base-command.ts';
import { topLayerFlag } from '../../cli/top-layer-flags.ts';
import { findTopLayer } from '../../deploy/top-layer.ts';
import { addToTopLayer, type Added } from '../../top-layer/add.ts';
import { showTopLayerPlace } from '../../top-layer/place.ts';

export default class ToplayerAdd extends ImgbootCommand {
  static override summary = 'Copy files of this machine into its top layer, to the same places';
  static override description =
    'With owners, modes, times, extended attributes, ACLs and hard links; a directory with all that is in it. A symbolic link is copied as it is. What the top layer has there already is replaced.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> /etc/hostname /etc/ssh',
    '<%= config.bin %> <%= command.id %> --from /mnt/old /etc/NetworkManager/system-connections',
  ];
  static override strict = false;
  static override enableJsonFlag = true;
  static override args = { path: Args.string({ required: true, description: 'files and directories' }) };
  static override flags = {
    ...topLayerFlag,
    from: Flags.directory({
      summary: 'take them from this root file system; / by default',
      exists: true,
      helpValue: 'ROOT',
    }),
  };

  async run(): Promise<Added> {
    const { argv, flags } = await this.parse(ToplayerAdd);
    requireRoot('toplayer add');
    const place = findTopLayer(flags['top-layer']);
    const added = await addToTopLayer({
      place,
      from: flags.from,
      paths: this.requireNames(argv),
      progress: this.progress,
      signal: this.signal,
    });
    for (const { path, why } of added.skipped) this.tell(`Left out: ${path}: ${why}`);
    this.log(`${showTopLayerPlace(place)} has ${added.paths.join(', ')} (${added.files} files).`);
    return added;
  }
}
