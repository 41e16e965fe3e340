import type { RootedTree } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import type { MachineProfile } from './machine-profile.ts';
import { decompressModule } from './module-file.ts';

/** An update lies at a multiple of this in memory. @see Intel SDM volume 3, 9.11.1; iucode_tool(8) --write-earlyfw */
const ALIGN_BYTES = 16;

const vendors = [
  {
    /** As the kernel looks for it. @see Documentation/arch/x86/microcode.rst */
    member: '/kernel/x86/microcode/GenuineIntel.bin',
    directory: '/lib/firmware/intel-ucode',
    /** Family, model and stepping. */
    file: /^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}(\.initramfs)?(\.xz|\.zst)?$/,
    /** Of the processor, as its modalias has it; X86_VENDOR_INTEL of asm/processor.h. */
    vendor: 0,
    fits: (name: string, { family, model }: Processor): boolean =>
      name.startsWith(`${hex(family)}-${hex(model)}-`),
  },
  {
    member: '/kernel/x86/microcode/AuthenticAMD.bin',
    directory: '/lib/firmware/amd-ucode',
    file: /^microcode_amd(_fam[0-9a-f]+h)?\.bin(\.xz|\.zst)?$/,
    vendor: 2,
    // The file without a family is for those before 15h.
    fits: (name: string, { family }: Processor): boolean =>
      family < 0x15
        ? name.startsWith('microcode_amd.bin')
        : name.startsWith(`microcode_amd_fam${hex(family)}h.`),
  },
] as const;

interface Processor {
  vendor: number;
  family: number;
  model: number;
}

/**
 * Plans the early archive with the microcode that the image has: for the processors of the given machines, or for
 * all. The kernel reads it before it can unpack anything, so it lies first in the file, uncompressed.
 * @returns whether the image has any
 */
export function planMicrocode(
  plan: ArchivePlan,
  tree: RootedTree,
  machines: readonly MachineProfile[] | undefined,
): boolean {
  const processors = machines?.flatMap(({ modaliases }) => Object.keys(modaliases).flatMap(parseProcessor));
  let hasMicrocode = false;
  for (const { member, directory, file, vendor, fits } of vendors) {
    const entries = tree
      .list(directory)
      .filter((name) => file.test(name))
      .filter((name) => processors?.some((one) => one.vendor === vendor && fits(name, one)) ?? true)
      .flatMap((name) => tree.resolveFile(`${directory}/${name}`) ?? []);
    if (entries.length === 0) continue;
    hasMicrocode = true;
    const inBackground = async (): Promise<Buffer> =>
      Buffer.concat(
        await Promise.all(entries.map(async (entry) => await decompressModule(entry.path, tree.read(entry)))),
      );
    const expectedBytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    plan.because('microcode', () =>
      plan.addFile(member, { expectedBytes, load: { inBackground } }, 0o644, ALIGN_BYTES),
    );
  }
  return hasMicrocode;
}

/** `cpu:type:x86,ven0000fam0006mod009E:feature:...` @see arch/x86/kernel/cpu/match.c */
function parseProcessor(modalias: string): Processor[] {
  const match = /^cpu:type:x86,ven([0-9A-F]{4})fam([0-9A-F]{4})mod([0-9A-F]{4}):/.exec(modalias);
  if (match === null) return [];
  const [vendor = 0, family = 0, model = 0] = match.slice(1).map((digits) => Number.parseInt(digits, 16));
  return [{ vendor, family, model }];
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0');
}
