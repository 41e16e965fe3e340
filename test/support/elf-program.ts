export interface ElfProgramParts {
  needed?: readonly string[];
  rpath?: string;
  runpath?: string;
  /** What a .note.dlopen says; each becomes a note of its own. */
  opened?: readonly unknown[];
}

const ET_DYN = 3;
const EM_X86_64 = 62;
const [PT_LOAD, PT_DYNAMIC, PT_NOTE] = [1, 2, 4];
const [DT_NULL, DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH] = [0n, 1n, 5n, 15n, 29n];
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;

/** An x86-64 program or library: what the dynamic linker reads of one, and nothing to run. */
export function elfProgram(parts: ElfProgramParts = {}): Buffer {
  const start = HEADER_BYTES + 3 * SEGMENT_BYTES;
  const strings = new StringTable();
  const tags: [bigint, number][] = (parts.needed ?? []).map((name) => [DT_NEEDED, strings.add(name)]);
  if (parts.rpath !== undefined) tags.push([DT_RPATH, strings.add(parts.rpath)]);
  if (parts.runpath !== undefined) tags.push([DT_RUNPATH, strings.add(parts.runpath)]);
  tags.push([DT_STRTAB, start]);
  const table = aligned(strings.bytes, 8);
  const dynamic = Buffer.concat(
    [...tags, [DT_NULL, 0] as const].map(([tag, value]) => pair(tag, BigInt(value))),
  );
  const notes = Buffer.concat((parts.opened ?? []).map((entry) => dlopenNote(JSON.stringify([entry]))));
  const body = Buffer.concat([table, dynamic, notes]);
  const segments = [
    segment(PT_LOAD, 0, start + body.length),
    segment(PT_DYNAMIC, start + table.length, dynamic.length),
    segment(PT_NOTE, start + table.length + dynamic.length, notes.length),
  ];
  return Buffer.concat([header(segments.length), ...segments, body]);
}

class StringTable {
  bytes = Buffer.from([0]);

  add(text: string): number {
    const at = this.bytes.length;
    this.bytes = Buffer.concat([this.bytes, Buffer.from(`${text}\0`)]);
    return at;
  }
}

function header(segmentCount: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(ET_DYN, 16);
  bytes.writeUInt16LE(EM_X86_64, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  bytes.writeUInt16LE(HEADER_BYTES, 52);
  bytes.writeUInt16LE(SEGMENT_BYTES, 54);
  bytes.writeUInt16LE(segmentCount, 56);
  return bytes;
}

/** Addresses are the places in the file. */
function segment(type: number, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(SEGMENT_BYTES);
  bytes.writeUInt32LE(type, 0);
  for (const at of [8, 16, 24]) bytes.writeBigUInt64LE(BigInt(offset), at);
  for (const at of [32, 40]) bytes.writeBigUInt64LE(BigInt(size), at);
  return bytes;
}

function dlopenNote(json: string): Buffer {
  const description = aligned(Buffer.from(`${json}\0`), 4);
  const head = Buffer.alloc(12);
  head.writeUInt32LE(4, 0);
  head.writeUInt32LE(json.length + 1, 4);
  head.writeUInt32LE(0x407c_0c0a, 8);
  return Buffer.concat([head, Buffer.from('FDO\0'), description]);
}

function pair(tag: bigint, value: bigint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(tag, 0);
  bytes.writeBigUInt64LE(value, 8);
  return bytes;
}

function aligned(bytes: Buffer, to: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((to - (bytes.length % to)) % to)]);
}
