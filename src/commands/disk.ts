import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { diskFlags, readDiskFlags } from '../cli/disk-flags.ts';
import { storeWithImage } from '../cli/store-with-image.ts';
import { humanSize } from '../cli/table.ts';
import { diskFormats, formatOfName, makeDiskFile, type DiskFile } from '../disk/disk-file.ts';
import { parseSize } from '../system/size.ts';

export default class Disk extends ImgbootCommand {
  static override summary = 'Make a disk that boots an image, as a file';
  static override description =
    'A partition table, a boot loader, and a store with the image, deployed: what is written onto a stick or given to a hypervisor. A system that boots from it upgrades and rolls back as any that `deploy` made. No device of this machine is needed.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop -o desktop.img',
    '<%= config.bin %> <%= command.id %> desktop -o desktop.qcow2 --size 20G --bootloader grub --firmware both',
    '<%= config.bin %> <%= command.id %> desktop -o stick.img --luks --persist /home',
  ];
  static override enableJsonFlag = true;
  static override args = { image: Args.string({ required: true, description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    output: Flags.string({ char: 'o', summary: 'the file to write', required: true }),
    format: Flags.option({ options: diskFormats })({
      summary: 'of the file; by default qcow2 where its name ends so, else raw',
    }),
    size: Flags.string({ summary: 'size of the disk, such as 20G; the file takes what is written' }),
    ...diskFlags,
  };

  async run(): Promise<DiskFile> {
    const { args, flags } = await this.parse(Disk);
    const content = await readDiskFlags(args.image, flags);
    const sizeBytes = flags.size === undefined ? undefined : parseSize(flags.size);
    requireRoot('disk');
    const taking = { progress: this.progress, signal: this.signal };
    const { store, reference } = await storeWithImage(flags.store, args.image, taking);
    const disk = await makeDiskFile(
      store,
      { path: flags.output, format: flags.format ?? formatOfName(flags.output), sizeBytes },
      {
        ...content,
        deployment: { ...content.deployment, reference },
        progress: this.progress,
        signal: this.signal,
      },
    );
    const firmware = [...content.loader.firmware].map((name) => name.toUpperCase()).join(' and ');
    this.log(
      `${disk.path}: ${humanSize(disk.sizeBytes)}, boots ${disk.deployed.id} by ${content.loader.name} on ${firmware}`,
    );
    return disk;
  }
}
