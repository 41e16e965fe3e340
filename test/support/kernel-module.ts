/** A section of a made-up module. */
export interface TestSection {
  name: string;
  content: Buffer;
}

const ET_REL = 1;
const EM_X86_64 = 62;
const SHT_PROGBITS = 1;
const SHT_STRTAB = 3;

/** A relocatable x86-64 ELF file with the given sections: what a kernel module is to those who only look. */
export function kernelModule(modinfo: readonly string[], more: readonly TestSection[] = []): Buffer {
  const sections = [
    { name: '', content: Buffer.alloc(0) },
    { name: '.modinfo', content: Buffer.from(modinfo.map((field) => `${field}\0`).join('')) },
    ...more,
  ];
  const names = ['\0'];
  const nameOffsets = sections.map(({ name }) => {
    if (name === '') return 0;
    names.push(`${name}\0`);
    return names.join('').length - name.length - 1;
  });
  nameOffsets.push(names.join('').length);
  names.push('.shstrtab\0');
  sections.push({ name: '.shstrtab', content: Buffer.from(names.join('')) });
  const body: Buffer[] = [];
  let at = 64;
  const headers = sections.map(({ name, content }, index) => {
    const header = Buffer.alloc(64);
    if (name === '') return header;
    const padding = Buffer.alloc((8 - (at % 8)) % 8);
    at += padding.length;
    header.writeUInt32LE(nameOffsets[index]!, 0);
    header.writeUInt32LE(name === '.shstrtab' ? SHT_STRTAB : SHT_PROGBITS, 4);
    header.writeBigUInt64LE(BigInt(at), 24);
    header.writeBigUInt64LE(BigInt(content.length), 32);
    header.writeBigUInt64LE(8n, 48);
    at += content.length;
    body.push(padding, content);
    return header;
  });
  const padding = Buffer.alloc((8 - (at % 8)) % 8);
  const elf = Buffer.alloc(64);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  elf.writeUInt16LE(ET_REL, 16);
  elf.writeUInt16LE(EM_X86_64, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(at + padding.length), 40);
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(64, 58);
  elf.writeUInt16LE(headers.length, 60);
  elf.writeUInt16LE(headers.length - 1, 62);
  return Buffer.concat([elf, ...body, padding, ...headers]);
}

/** What scripts/sign-file appends. */
export function withSignature(module: Buffer, signature = Buffer.alloc(100, 0xaa)): Buffer {
  const trailer = Buffer.alloc(12);
  trailer[2] = 2;
  trailer.writeUInt32BE(signature.length, 8);
  return Buffer.concat([module, signature, trailer, Buffer.from('~Module signature appended~\n')]);
}
