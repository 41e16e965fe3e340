import { ImgbootError } from '../errors.ts';

// Numbers by their names in elf.h.
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const PT_NOTE = 4;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_RPATH = 15;
const DT_RUNPATH = 29;
const SHT_NULL = 0;
const SHT_NOBITS = 8;

export interface ElfSection {
  name: string;
  type: number;
  /** Where the bytes lie in the file. */
  offset: number;
  size: number;
  align: number;
}

/** What the dynamic linker needs to know of a program or library. */
export interface DynamicInfo {
  interpreter: string | undefined;
  needed: string[];
  /** Directories of DT_RPATH and DT_RUNPATH, as they are written. */
  rpath: string[];
  runpath: string[];
}

/** What somebody left in an ELF file for tools to find. */
export interface ElfNote {
  owner: string;
  type: number;
  description: Buffer;
}

/** An ELF file's bytes, of either class and byte order. Whatever lies outside the file is an error, not a guess. */
export class ElfFile {
  readonly bytes: Buffer;
  readonly is64: boolean;
  readonly type: number;
  /** e_machine: EM_X86_64 is 62. */
  readonly machine: number;
  readonly #little: boolean;
  readonly #name: string;

  /** @throws IMGBOOT_BAD_ELF; `name` is what its messages call the file */
  constructor(bytes: Buffer, name: string) {
    this.#name = name;
    if (!isElf(bytes) || bytes.length < 52) throw this.#bad('it is no ELF file');
    this.bytes = bytes;
    this.is64 = bytes[4] === ELFCLASS64;
    this.#little = bytes[5] === ELFDATA2LSB;
    this.type = this.#half(16);
    this.machine = this.#half(18);
  }

  /** Whether two files can live in one process. */
  fits(other: { is64: boolean; machine: number }): boolean {
    return this.is64 === other.is64 && this.machine === other.machine;
  }

  get #sectionTable(): number {
    return this.#word(this.is64 ? 40 : 32);
  }

  sections(): ElfSection[] {
    const entrySize = this.#half(this.is64 ? 58 : 46);
    const count = this.#half(this.is64 ? 60 : 48);
    const namesIndex = this.#half(this.is64 ? 62 : 50);
    const start = this.#sectionTable;
    const raw = Array.from({ length: count }, (_, index) => {
      const at = start + index * entrySize;
      return {
        nameOffset: this.#quad32(at),
        type: this.#quad32(at + 4),
        offset: this.#word(at + (this.is64 ? 24 : 16)),
        size: this.#word(at + (this.is64 ? 32 : 20)),
        align: this.#word(at + (this.is64 ? 48 : 32)),
      };
    });
    const names = raw[namesIndex];
    return raw.map(({ nameOffset, ...section }) => ({
      ...section,
      name: names === undefined ? '' : this.#string(names.offset + nameOffset),
    }));
  }

  /** One section by its name, without a look at the names of the others. */
  section(name: string): { name: string; offset: number; size: number } | undefined {
    const start = this.#sectionTable;
    const entrySize = this.#half(this.is64 ? 58 : 46);
    const place = (index: number): { name: string; offset: number; size: number } => {
      const at = start + index * entrySize;
      const [offsetAt, sizeAt] = this.is64 ? [at + 24, at + 32] : [at + 16, at + 20];
      return { name, offset: this.#word(offsetAt), size: this.#word(sizeAt) };
    };
    const names = this.sectionBytes(place(this.#half(this.is64 ? 62 : 50)));
    const nameOffset = names.indexOf(`\0${name}\0`, 0, 'latin1') + 1;
    const count = this.#half(this.is64 ? 60 : 48);
    if (nameOffset === 0) return undefined;
    for (let index = 0; index < count; index++) {
      if (this.#quad32(start + index * entrySize) === nameOffset) return place(index);
    }
    return undefined;
  }

  sectionBytes(section: { name: string; offset: number; size: number }): Buffer {
    if (section.offset + section.size > this.bytes.length)
      throw this.#bad(`section ${section.name} is cut off`);
    return this.bytes.subarray(section.offset, section.offset + section.size);
  }

  /** A copy of a relocatable file whose sections of these names are empty, and whose others are closer together. */
  withoutSections(names: ReadonlySet<string>): Buffer {
    const sections = this.sections();
    const copy = Buffer.allocUnsafeSlow(this.bytes.length);
    const headerBytes = this.is64 ? 64 : 52;
    this.bytes.copy(copy, 0, 0, headerBytes);
    const places: { headerAt: number; offset: number; size: number }[] = [];
    let end = headerBytes;
    // In the order of the file, so that none can outgrow the copy.
    for (const section of [...sections.entries()].sort(([, a], [, b]) => a.offset - b.offset)) {
      const [index, { name, type, offset, size, align }] = section;
      const headerAt = index * this.#half(this.is64 ? 58 : 46);
      if (names.has(name)) places.push({ headerAt, offset: end, size: 0 });
      else if (type === SHT_NULL || type === SHT_NOBITS) places.push({ headerAt, offset, size });
      else {
        const at = alignUp(end, align);
        copy.fill(0, end, at);
        end = at;
        this.sectionBytes({ name, offset, size }).copy(copy, end);
        places.push({ headerAt, offset: end, size });
        end += size;
      }
    }
    const tableAt = alignUp(end, 8);
    copy.fill(0, end, tableAt);
    const tableSize = sections.length * this.#half(this.is64 ? 58 : 46);
    const tableFrom = this.#sectionTable;
    if (tableAt + tableSize > copy.length) throw this.#bad('its sections overlap');
    this.bytes.copy(copy, tableAt, tableFrom, tableFrom + tableSize);
    const result = new ElfFile(copy.subarray(0, tableAt + tableSize), this.#name);
    result.#setWord(this.is64 ? 40 : 32, tableAt);
    for (const { headerAt, offset, size } of places) {
      result.#setWord(tableAt + headerAt + (this.is64 ? 24 : 16), offset);
      result.#setWord(tableAt + headerAt + (this.is64 ? 32 : 20), size);
    }
    return result.bytes;
  }

  dynamic(): DynamicInfo {
    const info: DynamicInfo = { interpreter: undefined, needed: [], rpath: [], runpath: [] };
    const segments = this.#segments();
    const interpreter = segments.find(({ type }) => type === PT_INTERP);
    if (interpreter !== undefined) info.interpreter = this.#string(interpreter.offset);
    const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
    if (dynamic === undefined) return info;
    const step = this.is64 ? 16 : 8;
    const tags: [tag: number, value: number][] = [];
    for (let at = dynamic.offset; at + step <= dynamic.offset + dynamic.fileSize; at += step) {
      const tag = this.#word(at);
      if (tag === DT_NULL) break;
      if ([DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH].includes(tag)) {
        tags.push([tag, this.#word(at + step / 2)]);
      }
    }
    const stringsAddress = tags.find(([tag]) => tag === DT_STRTAB)?.[1];
    const load = segments.find(
      ({ type, address, fileSize }) =>
        type === PT_LOAD &&
        stringsAddress !== undefined &&
        stringsAddress >= address &&
        stringsAddress < address + fileSize,
    );
    if (stringsAddress === undefined || load === undefined) return info;
    const strings = stringsAddress - load.address + load.offset;
    for (const [tag, value] of tags) {
      if (tag === DT_NEEDED) info.needed.push(this.#string(strings + value));
      if (tag === DT_RPATH) info.rpath.push(...this.#string(strings + value).split(':'));
      if (tag === DT_RUNPATH) info.runpath.push(...this.#string(strings + value).split(':'));
    }
    return info;
  }

  /** The notes of the segments that are for them. What is cut off inside one is an error, as everywhere. */
  notes(): ElfNote[] {
    const notes: ElfNote[] = [];
    for (const { type, offset, fileSize } of this.#segments()) {
      if (type !== PT_NOTE) continue;
      for (let at = offset; at + 12 <= offset + fileSize;) {
        const [nameSize, size] = [this.#quad32(at), this.#quad32(at + 4)];
        const nameAt = at + 12;
        const descriptionAt = nameAt + alignUp(nameSize, 4);
        this.#check(nameAt, nameSize);
        this.#check(descriptionAt, size);
        notes.push({
          owner: this.bytes.toString('latin1', nameAt, nameAt + Math.max(0, nameSize - 1)),
          type: this.#quad32(at + 8),
          description: this.bytes.subarray(descriptionAt, descriptionAt + size),
        });
        at = descriptionAt + alignUp(size, 4);
      }
    }
    return notes;
  }

  #segments(): { type: number; offset: number; address: number; fileSize: number }[] {
    const start = this.#word(this.is64 ? 32 : 28);
    const entrySize = this.#half(this.is64 ? 54 : 42);
    const count = this.#half(this.is64 ? 56 : 44);
    return Array.from({ length: count }, (_, index) => {
      const at = start + index * entrySize;
      return {
        type: this.#quad32(at),
        offset: this.#word(at + (this.is64 ? 8 : 4)),
        address: this.#word(at + (this.is64 ? 16 : 8)),
        fileSize: this.#word(at + (this.is64 ? 32 : 16)),
      };
    });
  }

  #string(at: number): string {
    const end = at < this.bytes.length ? this.bytes.indexOf(0, at) : -1;
    if (end === -1) throw this.#bad('a name lies outside the file');
    return this.bytes.toString('utf8', at, end);
  }

  #half(at: number): number {
    this.#check(at, 2);
    return this.#little ? this.bytes.readUInt16LE(at) : this.bytes.readUInt16BE(at);
  }

  #quad32(at: number): number {
    this.#check(at, 4);
    return this.#little ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  /** A number as wide as the class; more than 2^53 never fits the file and fails the checks of its use. */
  #word(at: number): number {
    if (!this.is64) return this.#quad32(at);
    this.#check(at, 8);
    const [low, high] = this.#little ? [at, at + 4] : [at + 4, at];
    return this.#quad32(high) * 0x1_0000_0000 + this.#quad32(low);
  }

  #setWord(at: number, value: number): void {
    this.#check(at, this.is64 ? 8 : 4);
    if (!this.is64) {
      if (this.#little) this.bytes.writeUInt32LE(value, at);
      else this.bytes.writeUInt32BE(value, at);
    } else if (this.#little) this.bytes.writeBigUInt64LE(BigInt(value), at);
    else this.bytes.writeBigUInt64BE(BigInt(value), at);
  }

  #check(at: number, size: number): void {
    if (!(at >= 0 && at + size <= this.bytes.length)) throw this.#bad('it is cut off');
  }

  #bad(why: string): ImgbootError {
    return new ImgbootError('IMGBOOT_BAD_ELF', `${this.#name}: ${why}`, {
      hint: 'the file is damaged; install its package again',
    });
  }
}

function alignUp(value: number, align: number): number {
  return align > 1 ? Math.ceil(value / align) * align : value;
}

/** Whether the bytes begin as an ELF file does. */
export function isElf(bytes: Buffer): boolean {
  return bytes.length >= 16 && bytes.readUInt32BE(0) === 0x7f45_4c46;
}
