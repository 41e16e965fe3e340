import { ImgbootCommand, requireRoot } from '../../cli/base-command.ts';
import { table } from '../../cli/table.ts';
import { topLayerFlag } from '../../cli/top-layer-flags.ts';
import { findTopLayer } from '../../deploy/top-layer.ts';
import { listTopLayer, type ListedEntry } from '../../top-layer/list.ts';
import { showTopLayerPlace } from '../../top-layer/place.ts';

interface Listing {
  topLayer: string;
  digest: string | null;
  files: number | null;
  entries: (Omit<ListedEntry, 'mode'> & { mode: string })[];
}

export default class ToplayerLs extends ImgbootCommand {
  static override summary = 'List what is in a top layer, and what the boot does with it';
  static override description =
    'The digest is the one that a boot report has; root only. Names that are not printable UTF-8 have \\xNN in them.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --top-layer LABEL=machine:/top',
  ];
  static override enableJsonFlag = true;
  static override flags = { ...topLayerFlag };

  async run(): Promise<Listing> {
    const { flags } = await this.parse(ToplayerLs);
    const place = findTopLayer(flags['top-layer']);
    if (place.kind === 'device') requireRoot('toplayer ls of a device');
    const { entries, measure } = await listTopLayer(place, {
      measure: process.getuid?.() === 0,
      progress: this.progress,
      signal: this.signal,
    });
    const listed = entries.map((entry) => ({ ...entry, mode: entry.mode.toString(8).padStart(4, '0') }));
    const rows = listed.map(({ mode, uid, gid, sizeBytes, kind, does, path, target }) => [
      mode,
      `${uid}:${gid}`,
      kind === 'file' ? String(sizeBytes) : kind,
      does,
      target === undefined ? path : `${path} -> ${target}`,
    ]);
    this.log(table(['MODE', 'OWNER', 'SIZE', 'DOES', 'PATH'], rows));
    if (measure !== undefined) this.log(`\n${measure.files} files, ${measure.digest}`);
    return {
      topLayer: showTopLayerPlace(place),
      digest: measure?.digest ?? null,
      files: measure?.files ?? null,
      entries: listed,
    };
  }
}
