import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand } from '../cli/base-command.ts';
import { causeTable } from '../cli/initramfs-report.ts';
import { humanSize } from '../cli/table.ts';
import { catMember } from '../initramfs/cat-member.ts';
import { explainInitramfs, type CauseRow } from '../initramfs/explain.ts';
import { memberLine, printable } from '../initramfs/member-line.ts';
import { memberTree } from '../initramfs/member-tree.ts';
import { readInitramfs, type InitramfsListing } from '../initramfs/read-initramfs.ts';
import { unpackInitramfs } from '../initramfs/unpack-initramfs.ts';

const views = ['long', 'tree', 'cat', 'unpack', 'explain'];
/** One way to show the file at a time. */
const instead = (view: string): { exclusive: string[] } => ({
  exclusive: views.filter((other) => other !== view),
});

export default class Lsinitramfs extends ImgbootCommand {
  static override summary = 'List what is in an initramfs, whoever made it; show, unpack or explain it';
  static override description =
    'Reads several archives in a row (early microcode), each plain or compressed with zstd, xz, gzip, lz4, bzip2, lzma or lzop.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> initrd.img',
    '<%= config.bin %> <%= command.id %> --long /boot/initrd.img-$(uname -r)',
    '<%= config.bin %> <%= command.id %> initrd.img --cat init',
    '<%= config.bin %> <%= command.id %> initrd.img --explain',
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
    tree: Flags.boolean({ summary: 'as a tree, with the bytes below each directory', ...instead('tree') }),
    cat: Flags.string({
      summary: 'write the content of one file of it',
      helpValue: 'PATH',
      ...instead('cat'),
    }),
    unpack: Flags.string({
      summary: 'unpack it into a directory that is empty or not there yet',
      helpValue: 'DIR',
      ...instead('unpack'),
    }),
    explain: Flags.boolean({
      summary: 'what the bytes are for, the largest cause first',
      ...instead('explain'),
    }),
  };

  async run(): Promise<InitramfsListing | CauseRow[] | undefined> {
    const { args, flags } = await this.parse(Lsinitramfs);
    if (flags.cat !== undefined) {
      process.stdout.write(await catMember(args.file, flags.cat, this.signal));
      return undefined;
    }
    if (flags.unpack !== undefined) {
      const warnings = await unpackInitramfs(args.file, flags.unpack, this.signal);
      for (const warning of warnings) this.tell(`imgboot: ${warning}`);
      return undefined;
    }
    if (flags.explain) {
      const rows = await explainInitramfs(args.file, this.signal);
      this.log(causeTable(rows));
      return rows;
    }
    const listing = await readInitramfs(args.file, { signal: this.signal });
    const lines = flags.tree ? memberTree(listing.members, humanSize) : memberLines(listing, flags.long);
    if (lines.length > 0) this.log(lines.join('\n'));
    return listing;
  }
}

function memberLines({ members }: InitramfsListing, isLong: boolean): string[] {
  const now = Date.now();
  return members.map((member) => (isLong ? memberLine(member, now) : printable(member.name)));
}
