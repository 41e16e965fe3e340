import { Args, Flags } from '../cli/oclif.ts';
import { checkWritable } from '../boot/command-line.ts';
import { diskFilesystems } from '../boot/disk.ts';
import { Guest } from '../boot/guest.ts';
import { runDisk } from '../boot/run-disk.ts';
import { runGuest } from '../boot/run-guest.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { storeWithImage } from '../cli/store-with-image.ts';
import { parseSize } from '../cli/size.ts';
import { formatOfName } from '../disk/disk-file.ts';
import { ImgbootError } from '../errors.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { firmwareNames } from '../vm/firmware.ts';

export default class Qemu extends ImgbootCommand {
  static override summary = 'Boot an image in a virtual machine';
  static override description =
    "The machine's disk is a file of its own with a store that holds the image; it boots as a real machine does, from imgboot's initramfs, its console on this terminal (Ctrl-A x ends it). Without IMAGE, --keep DISK boots a kept disk as it is, which needs no root; --disk boots a whole disk by firmware, as `imgboot disk` makes it: its kernel talks here where console=ttyS0 is on its command line.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> debian:bookworm',
    "<%= config.bin %> <%= command.id %> desktop --top-layer ./mine --expect 'login:' --timeout 120",
    '<%= config.bin %> <%= command.id %> desktop --keep disk.img --writable persistent',
    '<%= config.bin %> <%= command.id %> --disk desktop.img --firmware uefi',
  ];
  static override args = { image: Args.string({ description: 'an image of the store' }) };
  static override flags = {
    ...storeFlag,
    append: Flags.string({ summary: 'further words for the kernel command line' }),
    'top-layer': Flags.directory({ summary: "a directory with this machine's own files", exists: true }),
    writable: Flags.string({
      summary: 'what becomes of writes: ephemeral, persistent, ram[:size=SIZE]',
      default: 'ephemeral',
    }),
    fs: Flags.option({ options: diskFilesystems })({ summary: "the disk's file system", default: 'btrfs' }),
    size: Flags.string({ summary: 'size of a new disk (sparse), such as 20G' }),
    memory: Flags.string({ char: 'm', summary: 'memory of the machine', default: '1G' }),
    cpus: Flags.integer({ summary: 'processors of the machine', default: 1, min: 1 }),
    display: Flags.string({
      summary: "give the machine a screen, shown as QEMU's -display has it: gtk, sdl, vnc=:1",
    }),
    kver: Flags.string({ summary: 'the kernel version, where the image has several' }),
    expect: Flags.string({ summary: 'succeed once the console has printed this text, fail otherwise' }),
    timeout: Flags.integer({ summary: 'seconds to wait for --expect', default: 180, min: 1 }),
    keep: Flags.string({
      summary: 'a file for the disk, which is booted again by the next --keep',
      helpValue: 'DISK',
    }),
    disk: Flags.file({
      summary: 'boot this disk by firmware, as it is; raw, or qcow2 where its name ends so',
      exists: true,
      exclusive: ['keep', 'append', 'top-layer', 'size', 'kver'],
    }),
    firmware: Flags.option({ options: firmwareNames })({
      summary: 'what starts --disk; by default BIOS where the disk has code for it',
      dependsOn: ['disk'],
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Qemu);
    const writable = checkWritable(flags.writable);
    const memoryBytes = parseSize(flags.memory);
    const { accelerator, reason } = await chooseAccelerator();
    const machine = {
      accelerator,
      memoryBytes,
      cpus: flags.cpus,
      display: flags.display,
      expect:
        flags.expect === undefined ? undefined : { text: flags.expect, timeoutMs: flags.timeout * 1000 },
      echo: process.stderr,
      signal: this.signal,
    };
    const announce = (): void => {
      this.tell(`booting with ${accelerator}: ${reason}`);
      if (flags.expect === undefined) this.tell('Ctrl-A x ends the machine');
    };
    if (flags.disk !== undefined) {
      if (args.image !== undefined)
        throw new ImgbootError('IMGBOOT_USAGE', 'give an image or --disk, not both', {
          hint: `imgboot disk ${args.image} -o ${flags.disk} puts an image on a disk`,
        });
      announce();
      await runDisk({
        ...machine,
        path: flags.disk,
        format: formatOfName(flags.disk),
        firmware: flags.firmware,
      });
      return;
    }
    await using guest = await this.#guest(args.image, flags, writable);
    announce();
    await runGuest(guest, { ...machine, append: flags.append });
  }

  async #guest(
    image: string | undefined,
    flags: {
      store: string;
      fs: (typeof diskFilesystems)[number];
      size: string | undefined;
      kver: string | undefined;
      'top-layer': string | undefined;
      keep: string | undefined;
    },
    writable: string,
  ): Promise<Guest> {
    if (image === undefined) {
      if (flags.keep !== undefined) return Guest.open(flags.keep);
      throw new ImgbootError('IMGBOOT_USAGE', 'give an image, or a disk with --keep', {
        hint: 'imgboot images lists those there are',
      });
    }
    requireRoot('making a disk');
    const taking = { progress: this.progress, signal: this.signal };
    const { store, reference } = await storeWithImage(flags.store, image, taking);
    return Guest.make(store, {
      reference,
      kver: flags.kver,
      filesystem: flags.fs,
      diskBytes: flags.size === undefined ? undefined : parseSize(flags.size),
      topLayer: flags['top-layer'],
      writable,
      keep: flags.keep,
      progress: this.progress,
      signal: this.signal,
    });
  }
}
