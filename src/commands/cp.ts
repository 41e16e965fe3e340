import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { copyFromContainer, copyToContainer } from '../container/changes/copy.ts';
import { findContainer } from '../container/record.ts';
import { ImgbootError } from '../errors.ts';
import { Store } from '../store/store.ts';

export default class Cp extends ImgbootCommand {
  static override summary = 'Copy files between a container and this host';
  static override description =
    'The container may run or not. - in the place of a path of this host is a tar on standard input or output. As with cp -r, DIRECTORY/. means what is in the directory. Files get root for an owner.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> web:/etc/nginx nginx',
    '<%= config.bin %> <%= command.id %> index.html web:/srv/www/',
    '<%= config.bin %> <%= command.id %> web:/var/log - | tar -t',
  ];
  static override args = {
    source: Args.string({ required: true, description: 'PATH, CONTAINER:PATH or -' }),
    destination: Args.string({ required: true, description: 'PATH, CONTAINER:PATH or -' }),
  };
  static override flags = {
    ...storeFlag,
    archive: Flags.boolean({ char: 'a', summary: 'keep owners and extended attributes' }),
    'follow-link': Flags.boolean({
      char: 'L',
      summary: 'copy what the source leads to, if it is a symbolic link',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Cp);
    requireRoot('cp');
    const [from, to] = [readPlace(args.source), readPlace(args.destination)];
    if ((from.container === undefined) === (to.container === undefined))
      throw new ImgbootError('IMGBOOT_USAGE', 'cp copies between a container and this host', {
        hint: 'one of the two is CONTAINER:PATH; a path of this host with a colon in it begins with / or ./',
      });
    const store = Store.open(flags.store);
    const container = findContainer(store, (from.container ?? to.container)!);
    const options = {
      archive: flags.archive,
      follow: flags['follow-link'],
      progress: this.progress,
      signal: this.signal,
    };
    if (from.container === undefined)
      return copyToContainer(store, container, { ...options, source: from.path, path: to.path });
    if (to.path === '-' && process.stdout.isTTY)
      throw new ImgbootError('IMGBOOT_USAGE', 'a tar is nothing for a terminal', {
        hint: 'name a place for the files, or pipe it',
      });
    return copyFromContainer(store, container, { ...options, path: from.path, destination: to.path });
  }
}

/** `CONTAINER:PATH`, or a path of this host: one that begins with a slash or a dot always is. */
function readPlace(text: string): { container: string | undefined; path: string } {
  const colon = text.indexOf(':');
  if (colon <= 0 || text.startsWith('/') || text.startsWith('.')) return { container: undefined, path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}
