import { Args, Flags } from '@oclif/core';
import { ImgbootCommand } from '../cli/base-command.ts';
import { memberLine, printable } from '../initramfs/member-line.ts';
import { readInitramfs, type InitramfsListing } from '../initramfs/read-initramfs.ts';

export default class Lsinitramfs extends ImgbootCommand {
  static override summary = 'List what is in an initramfs, whoever made it';

  static override examples = [
    '<%= config.bin %> <%= command.id %> initrd.img',
    '<%= config.bin %> <%= command.id %> --long /boot/initrd.img-$(uname -r)',
  ];

  static override enableJsonFlag = true;

  static override args = {
    file: Args.string({ description: 'the initramfs', required: true }),
  };

  static override flags = {
    long: Flags.boolean({
      char: 'l',
      summary: 'modes, sizes and times, as cpio --list --verbose shows them',
    }),
  };

  async run(): Promise<InitramfsListing> {
    const { args, flags } = await this.parse(Lsinitramfs);
    const listing = await readInitramfs(args.file, this.signal);
    const now = Date.now();
    const lines = listing.members.map((member) =>
      flags.long ? memberLine(member, now) : printable(member.name),
    );
    if (lines.length > 0) this.log(lines.join('\n'));
    return listing;
  }
}
