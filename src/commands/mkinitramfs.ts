import { Args, Flags } from '../cli/oclif.ts';
import type { ImageInitramfsRequest } from '../boot/image-initramfs.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { causeTable, comparisonLines } from '../cli/initramfs-report.ts';
import { ImgbootError } from '../errors.ts';
import { parseCompression } from '../initramfs/compression.ts';
import { Contents } from '../initramfs/contents.ts';
import { parseInclude } from '../initramfs/include.ts';
import { makeInitramfs, type InitramfsReport } from '../initramfs/make-initramfs.ts';
import {
  DEFAULT_MODULES,
  parseFilesystems,
  parseModuleSelection,
  type ModuleRule,
  type ModuleSelection,
} from '../initramfs/module-request.ts';
import { parseSize } from '../system/size.ts';

export default class Mkinitramfs extends ImgbootCommand {
  static override summary = 'Make the initramfs that boots an image, a directory or this machine';

  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop -o initrd.img',
    '<%= config.bin %> <%= command.id %> --root / -o /tmp/initrd.img --explain --max-size 40M',
    '<%= config.bin %> <%= command.id %> --root ./rootfs --modules virtio --fs btrfs -o initrd.img',
    "<%= config.bin %> <%= command.id %> desktop --modules host --add 'kernel/drivers/hid/*' -o initrd.img",
  ];

  static override enableJsonFlag = true;

  static override args = {
    image: Args.string({ description: 'reference of an image in the store' }),
  };

  static override flags = {
    ...storeFlag,
    root: Flags.directory({
      summary: 'take the kernel and programs from this root file system; / is the running one',
      exists: true,
    }),
    output: Flags.string({ char: 'o', summary: 'the file to write', required: true }),
    kver: Flags.string({ summary: 'the kernel version, where there are several' }),
    modules: Flags.string({
      summary: 'what to boot: universal (any machine), virtio, qemu, host, profile:FILE, or names of modules',
      description:
        'Comma-separated; the union is meant. virtio is for virtual machines with virtio disks, qemu for any that QEMU has; host is this machine, profile:FILE one that imgboot profile record looked at: their hardware and what their root lies on, by the modules of the kernel that the initramfs is for. A name is a module, loaded at once.',
      default: DEFAULT_MODULES,
    }),
    fs: Flags.string({
      summary:
        'the file systems that the root may have, comma-separated, in place of all that the modules bring',
      helpValue: 'TYPE[,TYPE]',
    }),
    add: Flags.string({
      summary: 'also modules of these names, or below these paths (kernel/drivers/net/*); may be given again',
      description: 'Of all --add and --omit that match a module, the last decides.',
      helpValue: 'GLOB',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    omit: Flags.string({
      summary: 'no modules of these names or paths, nor what needs them; may be given again',
      helpValue: 'GLOB',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    compress: Flags.string({
      summary:
        'zstd, xz, gzip, lz4 (each with :LEVEL, if wanted) or none; by default the best that the kernel reads',
      helpValue: 'FORMAT[:LEVEL]',
    }),
    include: Flags.string({
      summary: "a file or directory of this machine's, and where it goes; may be given again",
      helpValue: 'SRC:DST',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    explain: Flags.boolean({ summary: 'say what the bytes are for, the largest cause first' }),
    'max-size': Flags.string({
      summary: 'fail where it would be larger, and say what to leave out; the old file stays',
      helpValue: 'SIZE',
    }),
    compare: Flags.string({
      summary: 'say what is new, gone or changed against an older initramfs, which may be the one to replace',
      helpValue: 'OLD',
    }),
  };

  async run(): Promise<InitramfsReport> {
    const { args, flags, raw } = await this.parse(Mkinitramfs);
    if ((args.image === undefined) === (flags.root === undefined)) {
      throw new ImgbootError('IMGBOOT_USAGE', 'give either an image or --root DIR', {
        hint: 'imgboot mkinitramfs --root / -o initrd.img',
      });
    }
    const modules: ModuleSelection = {
      ...parseModuleSelection(flags.modules, new Contents()),
      rules: rulesInOrder(raw),
      filesystems: flags.fs === undefined ? undefined : parseFilesystems(flags.fs),
    };
    const request = {
      kver: flags.kver,
      modules,
      includes: flags.include.map((text) => parseInclude(text)),
      maxBytes: flags['max-size'] === undefined ? undefined : parseSize(flags['max-size']),
      compareWith: flags.compare,
      compression: flags.compress === undefined ? undefined : parseCompression(flags.compress),
      output: flags.output,
    };
    const options = { progress: this.progress, signal: this.signal };
    const report =
      args.image === undefined
        ? await makeInitramfs({ ...request, root: flags.root! }, options)
        : await this.#ofImage(args.image, { initramfs: request, store: flags.store, ...options });
    for (const warning of report.warnings) this.tell(`imgboot: ${warning}`);
    this.log(describe(report));
    if (flags.explain) this.log(causeTable(report.causes));
    if (report.comparison !== undefined) this.log(comparisonLines(report.comparison).join('\n'));
    return report;
  }

  async #ofImage(
    image: string,
    { store: path, ...request }: Omit<ImageInitramfsRequest, 'reference'> & { store: string },
  ): Promise<InitramfsReport> {
    requireRoot('mkinitramfs of an image');
    // Not for a directory: loading the store's code takes a part of the time that one is to be made in.
    const [{ makeImageInitramfs }, { storeWithImage }] = await Promise.all([
      import('../boot/image-initramfs.ts'),
      import('../cli/store-with-image.ts'),
    ]);
    const { store, reference } = await storeWithImage(path, image, request);
    return makeImageInitramfs(store, { reference, ...request });
  }
}

/** --add and --omit as they were given: which one comes last matters. */
function rulesInOrder(raw: readonly { type: string; flag?: string; input: string }[]): ModuleRule[] {
  return raw.flatMap(({ type, flag, input }) =>
    type === 'flag' && (flag === 'add' || flag === 'omit') ? [{ verb: flag, pattern: input }] : [],
  );
}

function describe(report: InitramfsReport): string {
  const megabytes = (report.sizeBytes / 1e6).toFixed(1);
  const parts = `${report.moduleCount} modules, ${report.firmwareCount} firmware files`;
  const origin =
    report.origin.programs === report.origin.busybox
      ? `programs from the ${report.origin.programs}`
      : `programs from the ${report.origin.programs}, busybox from the ${report.origin.busybox}`;
  return `${report.output}: ${megabytes} MB for ${report.kver} (${parts}; ${origin})`;
}
