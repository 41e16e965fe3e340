import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { confirm } from '../cli/confirm.ts';
import { diskFlags, readDiskFlags } from '../cli/disk-flags.ts';
import { storeWithImage } from '../cli/store-with-image.ts';
import { Args, Flags } from '../cli/oclif.ts';
import { humanSize, table } from '../cli/table.ts';
import type { Deployed } from '../deploy/deploy.ts';
import { inspectDevice, type Device } from '../disk/device.ts';
import { installOnDevice, planInstallation } from '../disk/install.ts';
import type { Partition } from '../disk/layout.ts';
import { ImgbootError } from '../errors.ts';

interface Installation {
  device: Device;
  partitions: Partition[];
  /** Null with --dry-run. */
  deployed: Deployed | null;
}

export default class Install extends ImgbootCommand {
  static override summary = 'Make a disk of this machine boot an image, and nothing else';
  static override description =
    'What `disk` makes as a file, on a whole disk: all that was on it is lost. What is there is shown first, and asked about on a terminal. A disk of which anything is mounted or used is refused. To boot an image beside a system that is there, use `deploy`.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop /dev/sdb --dry-run',
    '<%= config.bin %> <%= command.id %> desktop /dev/sdb --persist /home --luks',
    '<%= config.bin %> <%= command.id %> kiosk /dev/nvme0n1 --bootloader grub --firmware both --wipe --yes',
  ];
  static override enableJsonFlag = true;
  static override args = {
    image: Args.string({ required: true, description: 'an image of the store' }),
    device: Args.string({ required: true, description: 'a whole disk: /dev/sdb' }),
  };
  static override flags = {
    ...storeFlag,
    'dry-run': Flags.boolean({ summary: 'say what is there and what would be, and do nothing' }),
    yes: Flags.boolean({ char: 'y', summary: 'ask nothing' }),
    wipe: Flags.boolean({ summary: 'also where something is on it, which is lost' }),
    ...diskFlags,
  };

  async run(): Promise<Installation> {
    const { args, flags } = await this.parse(Install);
    requireRoot('install');
    const taking = { progress: this.progress, signal: this.signal };
    const { store, reference } = await storeWithImage(flags.store, args.image, taking);
    const device = await inspectDevice(args.device);
    this.tell(this.#describe(device));
    // The passphrase is asked for when it is agreed what becomes of the device.
    const plain = await readDiskFlags(reference, { ...flags, luks: false });
    const partitions = planInstallation(store, device, plain);
    if (flags['dry-run']) {
      const rows = partitions.map(({ name, sizeBytes }) => [name, humanSize(sizeBytes)]);
      this.log(table(['PARTITION', 'SIZE'], rows));
      return { device, partitions, deployed: null };
    }
    await this.#agree(device, flags);
    const content = flags.luks ? await readDiskFlags(reference, flags) : plain;
    const deployed = await installOnDevice(store, device, {
      ...content,
      progress: this.progress,
      signal: this.signal,
    });
    this.log(`${device.path} boots ${deployed.id} by ${content.loader.name}`);
    return { device, partitions, deployed };
  }

  #describe(device: Device): string {
    const rows = device.parts.map(({ path, sizeBytes, content, label }) => [
      path,
      humanSize(sizeBytes),
      content ?? '',
      label ?? '',
    ]);
    return `${device.path}${device.model === undefined ? '' : ` (${device.model})`} is ${
      device.isEmpty ? 'empty' : 'not empty'
    }:\n${table(['NAME', 'SIZE', 'CONTENT', 'LABEL'], rows)}`;
  }

  async #agree(device: Device, { yes, wipe }: { yes: boolean; wipe: boolean }): Promise<void> {
    const isAtTerminal = process.stdin.isTTY && process.stderr.isTTY;
    if (!device.isEmpty && !wipe && (yes || !isAtTerminal)) {
      throw new ImgbootError('IMGBOOT_NOT_EMPTY', `${device.path} is not empty; nothing was done`, {
        hint: 'if all that is on it may go, say --wipe',
      });
    }
    if (!yes) await confirm(`Delete all that is on ${device.path}, for good?`);
  }
}
