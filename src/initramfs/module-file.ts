import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import { ImgbootError, errorMessage } from '../errors.ts';
import { ElfFile, isElf } from './elf.ts';

/** Names of sections that only a debugger or a BPF program reads. */
const debugSections = /^(\.rela?)?\.(z?debug_.*|comment|gnu_debuglink|BTF|BTF\.ext|BTF\.base)$/;

const SIGNATURE_MAGIC = Buffer.from('~Module signature appended~\n');
/** struct module_signature of include/linux/module_signature.h */
const SIGNATURE_HEADER_BYTES = 12;

/**
 * The bytes of an uncompressed module, from those of its file.
 * @param allocate may give memory for them; fresh by default
 * @throws IMGBOOT_BAD_MODULE
 */
export async function decompressModule(
  path: string,
  bytes: Buffer,
  allocate?: (sizeBytes: number) => Buffer,
): Promise<Buffer> {
  try {
    if (path.endsWith('.gz')) return await promisify(gunzip)(bytes);
    if (path.endsWith('.zst')) return await promisify(zstdDecompress)(bytes);
    // Starting programs takes much code that most kernels' modules do not need.
    if (path.endsWith('.xz')) return await (await import('../system/unxz.ts')).unxz(bytes, allocate);
    return bytes;
  } catch (cause) {
    if (cause instanceof ImgbootError) throw cause;
    throw new ImgbootError('IMGBOOT_BAD_MODULE', `${path}: ${errorMessage(cause)}`, {
      cause,
      hint: "the file is damaged; install the kernel's package again",
    });
  }
}

/** The firmware files that a module may ask for, as it names them. */
export function firmwareOf(bytes: Buffer, path: string): string[] {
  const elf = new ElfFile(bytes, path);
  const section = elf.section('.modinfo');
  if (section === undefined) return [];
  return elf
    .sectionBytes(section)
    .toString('latin1')
    .split('\0')
    .filter((field) => field.startsWith('firmware='))
    .map((field) => field.slice('firmware='.length));
}

/**
 * The module without its signature and debug data. Its sections move together in the file; a relocatable file refers
 * to no place in itself but through its section table. The kernel then sees an unsigned module.
 */
export function stripModule(bytes: Buffer, path: string): Buffer {
  const unsigned = withoutSignature(bytes);
  if (!isElf(unsigned)) return unsigned;
  const elf = new ElfFile(unsigned, path);
  const sections = elf.sections();
  // A module that registers functions for BPF programs does not load without its types.
  const typesMatter = sections.some(({ name }) => name === '.BTF_ids');
  const dropped = sections.filter(
    ({ name }) => debugSections.test(name) && !(typesMatter && name.startsWith('.BTF')),
  );
  if (dropped.length === 0) return unsigned;
  return elf.withoutSections(new Set(dropped.map(({ name }) => name)));
}

function withoutSignature(bytes: Buffer): Buffer {
  const end = bytes.length - SIGNATURE_MAGIC.length;
  const start = end - SIGNATURE_HEADER_BYTES;
  if (start < 0 || !bytes.subarray(end).equals(SIGNATURE_MAGIC)) return bytes;
  const length = bytes[start + 3]! + bytes[start + 4]! + bytes.readUInt32BE(start + 8);
  return length > start ? bytes : bytes.subarray(0, start - length);
}
