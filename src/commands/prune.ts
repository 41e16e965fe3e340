import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { confirm } from '../cli/confirm.ts';
import { humanSize } from '../cli/table.ts';
import { pruneContainers } from '../container/prune-containers.ts';
import { prune, type Pruned } from '../store/prune.ts';
import { Store } from '../store/store.ts';

export default class Prune extends ImgbootCommand {
  static override summary =
    'Remove images without a name, the build cache, and blobs and layers that nothing uses';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --force',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    'dry-run': Flags.boolean({ char: 'n', summary: 'only say what would be removed' }),
    force: Flags.boolean({ char: 'f', summary: 'do not ask' }),
    containers: Flags.boolean({ summary: 'remove containers that do not run, too' }),
  };

  async run(): Promise<Pruned & { containers: string[] }> {
    const { flags } = await this.parse(Prune);
    requireRoot('prune');
    const store = Store.open(flags.store);
    const dryRun = flags['dry-run'];
    if (!dryRun && !flags.force)
      await confirm(
        `Remove ${flags.containers ? 'all containers that do not run, ' : ''}all images without a name, the build cache and everything that nothing uses?`,
      );
    // First: an image that only they kept goes with them.
    const containers = flags.containers ? await pruneContainers(store, { dryRun, signal: this.signal }) : [];
    const pruned = await prune(store, { dryRun, progress: this.progress, signal: this.signal });
    const verb = dryRun ? 'Would remove' : 'Removed';
    if (flags.containers) this.log(`${verb} ${containers.length} containers`);
    this.log(
      `${verb} ${pruned.images.length} images, ${pruned.layers.length} layers, ${pruned.blobs.length} blobs (${humanSize(pruned.blobBytes)})`,
    );
    if (pruned.cachedSteps > 0 || pruned.cacheMounts > 0)
      this.log(`${verb} the build cache: ${pruned.cachedSteps} steps, ${pruned.cacheMounts} cache mounts`);
    return { containers, ...pruned };
  }
}
