import { ImgbootError } from '../errors.ts';
import { PaxRecords } from './pax.ts';
import type { EntryType, SparseRun, TarEntry, TarHandler } from './tar-entry.ts';

const BLOCK = 512;
/** A header's own body (names, pax records) larger than this is an attack, not an archive. */
const MAX_META_BYTES = 8 << 20;

const entryTypes: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

/** Overrides for the next entry, gathered from the headers before it. */
interface Pending {
  pax?: PaxRecords;
  longName?: string;
  longLink?: string;
}

/**
 * Reads a tar stream: ustar, pax (local and global), GNU long names, base-256 numbers, and sparse files in
 * GNU's old format and pax 0.0, 0.1 and 1.0. Content is handed on in place; nothing is buffered but headers.
 * Everything is synchronous: `write` has called the handler for all that its chunk completes when it returns.
 * @see tar(5) of libarchive, GNU tar manual "Storing Sparse Files"
 */
export class TarReader {
  readonly #handler: TarHandler;
  /** Takes bytes until it has what it waits for; see `#want`. */
  #collected: Buffer[] = [];
  #missing = BLOCK;
  #whenCollected: (block: Buffer) => void = (block) => this.#header(block);
  #content: ContentCursor | undefined;
  #skip = 0;
  #pending: Pending = {};
  #global: PaxRecords | undefined;
  #zeroBlocks = 0;
  #atHeader = true;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** Whether the end-of-archive mark was read; an archive without it may be cut off. */
  get sawEnd(): boolean {
    return this.#zeroBlocks >= 2;
  }

  /** @throws IMGBOOT_BAD_TAR */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.sawEnd) {
      if (this.#content !== undefined) at += this.#takeContent(chunk, at);
      else if (this.#skip > 0) {
        const taken = Math.min(this.#skip, chunk.length - at);
        this.#skip -= taken;
        at += taken;
      } else {
        const taken = Math.min(this.#missing, chunk.length - at);
        const part = chunk.subarray(at, at + taken);
        at += taken;
        this.#missing -= taken;
        if (this.#missing === 0 && this.#collected.length === 0) this.#whenCollected(part);
        else {
          this.#collected.push(Buffer.from(part));
          if (this.#missing === 0) {
            const whole = Buffer.concat(this.#collected);
            this.#collected = [];
            this.#whenCollected(whole);
          }
        }
      }
    }
  }

  /** Call when the stream has ended. @throws IMGBOOT_BAD_TAR when it ended inside an entry */
  finish(): void {
    const betweenEntries =
      this.#atHeader && this.#collected.length === 0 && this.#skip === 0 && this.#content === undefined;
    if (!this.sawEnd && !betweenEntries) {
      throw badTar('the tar ends in the middle of an entry: it is cut off');
    }
  }

  #want(size: number, then: (bytes: Buffer) => void): void {
    this.#missing = size;
    this.#whenCollected = then;
    this.#atHeader = false;
  }

  #wantHeader(): void {
    this.#want(BLOCK, (block) => this.#header(block));
    this.#atHeader = true;
  }

  #header(block: Buffer): void {
    if (isZero(block)) {
      this.#zeroBlocks += 1;
      this.#wantHeader();
      return;
    }
    this.#zeroBlocks = 0;
    checkSum(block);
    const type = String.fromCharCode(block[156]!);
    const size = numberAt(block, 124, 12);
    switch (type) {
      case 'x':
        return this.#meta(size, (body) => (this.#pending.pax = PaxRecords.parse(body)));
      case 'g':
        return this.#meta(size, (body) => this.#setGlobal(body));
      case 'L':
        return this.#meta(size, (body) => (this.#pending.longName = untilNul(body)));
      case 'K':
        return this.#meta(size, (body) => (this.#pending.longLink = untilNul(body)));
      default:
        return this.#entry(block, type, size);
    }
  }

  /** A header whose body describes the next entry. */
  #meta(size: number, keep: (body: Buffer) => void): void {
    if (size < 0 || size > MAX_META_BYTES) throw badTar(`the tar has a header of ${size} bytes`);
    const done = (body: Buffer): void => {
      keep(body.subarray(0, size));
      this.#wantHeader();
    };
    if (size === 0) done(Buffer.alloc(0));
    else this.#want(padded(size), done);
  }

  #setGlobal(body: Buffer): void {
    this.#global = PaxRecords.parse(body).over(this.#global);
    if (this.#global.sizeBytes > MAX_META_BYTES) throw badTar('the tar has too many global headers');
  }

  #entry(block: Buffer, typeFlag: string, headerSize: number): void {
    const pax = (this.#pending.pax ?? new PaxRecords()).over(this.#global);
    const ustar = block.toString('latin1', 257, 263) === 'ustar\0';
    const prefix = ustar ? stringAt(block, 345, 155) : '';
    const name = stringAt(block, 0, 100);
    const path =
      pax.text('GNU.sparse.name') ??
      pax.text('path') ??
      this.#pending.longName ??
      (prefix === '' ? name : `${prefix}/${name}`);
    let type = entryTypes[typeFlag];
    if (type === undefined) {
      throw badTar(`the tar has an entry of unknown type ${JSON.stringify(typeFlag)}: ${show(path)}`);
    }
    const storedSize = type === 'file' ? (pax.number('size') ?? headerSize) : 0;
    // Tars of the 1970s mark a directory by its slash alone.
    if (type === 'file' && path.endsWith('/') && storedSize === 0) type = 'directory';
    const entry: TarEntry = {
      type,
      path,
      linkTarget:
        type === 'hardlink' || type === 'symlink'
          ? (pax.text('linkpath') ?? this.#pending.longLink ?? stringAt(block, 157, 100))
          : '',
      mode: numberAt(block, 100, 8) & 0o7777,
      uid: ownerId(pax.number('uid') ?? numberAt(block, 108, 8), path),
      gid: ownerId(pax.number('gid') ?? numberAt(block, 116, 8), path),
      mtime: pax.time('mtime') ?? { seconds: BigInt(numberAt(block, 136, 12)), nanoseconds: 0 },
      size: storedSize,
      device:
        type === 'character' || type === 'block'
          ? { major: numberAt(block, 329, 8), minor: numberAt(block, 337, 8) }
          : { major: 0, minor: 0 },
      xattrs: pax.xattrs(),
      sparse: undefined,
    };
    if (storedSize < 0) throw badTar(`the tar has an entry of negative size: ${show(path)}`);
    if (path.includes('\0') || entry.linkTarget.includes('\0'))
      throw badTar(`the tar has a name with a zero byte in it: ${show(path)}`);
    this.#pending = {};
    // Some archivers give directories and links a size, and then no content; a hard link's size is its file's.
    if (typeFlag === 'S') this.#oldSparse(block, entry, storedSize);
    else if (type === 'file' && pax.text('GNU.sparse.major') === '1') this.#sparse10(entry, pax, storedSize);
    else if (type === 'file' && isSparse0(pax)) this.#sparse0(entry, pax, storedSize);
    else this.#begin(entry, storedSize);
  }

  /** Announces the entry, then streams `storedSize` bytes of content. */
  #begin(entry: TarEntry, storedSize: number, unpadded = storedSize): void {
    const dataBytes = entry.sparse?.reduce((sum, run) => sum + run.length, 0) ?? entry.size;
    if (dataBytes !== storedSize) throw badTar(`a sparse map does not fit its content: ${show(entry.path)}`);
    this.#handler.entry(entry);
    if (storedSize === 0) {
      this.#skip = padded(unpadded) - unpadded;
      this.#end();
      return;
    }
    this.#content = {
      runs: entry.sparse ?? [{ offset: 0, length: entry.size }],
      run: 0,
      inRun: 0,
      missing: storedSize,
      padding: padded(unpadded) - unpadded,
    };
  }

  #end(): void {
    this.#handler.endEntry();
    this.#wantHeader();
  }

  #takeContent(chunk: Buffer, from: number): number {
    const content = this.#content!;
    let at = from;
    while (content.missing > 0 && at < chunk.length) {
      const run = content.runs[content.run]!;
      const taken = Math.min(run.length - content.inRun, content.missing, chunk.length - at);
      if (taken > 0) this.#handler.data(chunk.subarray(at, at + taken), run.offset + content.inRun);
      at += taken;
      content.inRun += taken;
      content.missing -= taken;
      if (content.inRun === run.length) {
        content.run += 1;
        content.inRun = 0;
      }
    }
    if (content.missing === 0) {
      this.#content = undefined;
      this.#skip = content.padding;
      this.#end();
    }
    return at - from;
  }

  /** GNU's old format: a map in the header, continued in extension blocks. */
  #oldSparse(block: Buffer, entry: TarEntry, storedSize: number): void {
    const runs: SparseRun[] = [];
    const take = (at: Buffer, from: number, count: number): void => {
      for (let index = 0; index < count; index += 1) {
        const start = from + index * 24;
        if (at[start] !== 0)
          runs.push({ offset: numberAt(at, start, 12), length: numberAt(at, start + 12, 12) });
      }
    };
    take(block, 386, 4);
    entry.size = numberAt(block, 483, 12);
    const done = (): void => this.#begin(withRuns(entry, runs), storedSize);
    const extend = (extension: Buffer): void => {
      take(extension, 0, 21);
      if (runs.length * 24 > MAX_META_BYTES) throw badTar('a sparse file has too long a map');
      if (extension[504] === 0) done();
      else this.#want(BLOCK, extend);
    };
    if (block[482] === 0) done();
    else this.#want(BLOCK, extend);
  }

  /** pax 0.0 (repeated records) and 0.1 (one record). */
  #sparse0(entry: TarEntry, pax: PaxRecords, storedSize: number): void {
    const numbers = pax.text('GNU.sparse.map')?.split(',').map(Number) ?? pax.sparsePairs;
    entry.size = pax.number('GNU.sparse.size') ?? pax.number('GNU.sparse.realsize') ?? storedSize;
    this.#begin(withRuns(entry, pairs(numbers)), storedSize);
  }

  /** pax 1.0: the map, in decimal lines, is the first part of the content. */
  #sparse10(entry: TarEntry, pax: PaxRecords, storedSize: number): void {
    entry.size = pax.number('GNU.sparse.realsize') ?? storedSize;
    const map = new SparseMap();
    let mapBytes = 0;
    const take = (block: Buffer): void => {
      mapBytes += BLOCK;
      if (mapBytes > storedSize || mapBytes > MAX_META_BYTES) throw badTar('a sparse map has no end');
      if (map.take(block)) this.#begin(withRuns(entry, map.runs), storedSize - mapBytes, storedSize);
      else this.#want(BLOCK, take);
    };
    this.#want(BLOCK, take);
  }
}

/** The map of pax 1.0, as its blocks come: a count, then that many pairs of offset and length, a number a line. */
class SparseMap {
  readonly runs: SparseRun[] = [];
  #count: number | undefined;
  #offset: number | undefined;
  #unfinished = '';

  /** @returns whether the map is complete; the rest of the block is padding */
  take(block: Buffer): boolean {
    const lines = (this.#unfinished + block.toString('latin1')).split('\n');
    this.#unfinished = lines.pop()!;
    for (const line of lines) {
      this.#number(line);
      if (this.runs.length === this.#count) return true;
    }
    return false;
  }

  #number(line: string): void {
    const value = Number(line);
    if (!/^[0-9]+$/.test(line) || !Number.isSafeInteger(value)) throw badTar('a sparse map cannot be read');
    if (this.#count === undefined) this.#count = value;
    else if (this.#offset === undefined) this.#offset = value;
    else {
      this.runs.push({ offset: this.#offset, length: value });
      this.#offset = undefined;
    }
  }
}

/** Where the reader stands in an entry's content. */
interface ContentCursor {
  runs: readonly SparseRun[];
  run: number;
  inRun: number;
  missing: number;
  padding: number;
}

function isSparse0(pax: PaxRecords): boolean {
  return (
    pax.sparsePairs.length > 0 || pax.values.has('GNU.sparse.map') || pax.values.has('GNU.sparse.numblocks')
  );
}

function pairs(numbers: readonly number[]): SparseRun[] {
  const runs: SparseRun[] = [];
  for (let index = 0; index + 1 < numbers.length; index += 2)
    runs.push({ offset: numbers[index]!, length: numbers[index + 1]! });
  return runs;
}

/** Checks the map: in order, without overlap, inside the file. */
function withRuns(entry: TarEntry, runs: readonly SparseRun[]): TarEntry {
  let end = 0;
  for (const run of runs) {
    if (
      !Number.isSafeInteger(run.offset) ||
      !Number.isSafeInteger(run.length) ||
      run.length < 0 ||
      run.offset < end ||
      run.offset + run.length > entry.size
    ) {
      throw badTar(`a sparse map does not fit its file: ${show(entry.path)}`);
    }
    end = run.offset + run.length;
  }
  entry.sparse = runs.filter((run) => run.length > 0);
  return entry;
}

function badTar(message: string): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_TAR', message);
}

/** A byte string for the user's eyes. */
function show(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString('utf8'));
}

/** chown(2) takes -1 for "leave it as it is": the file would be root's. */
function ownerId(id: number, path: string): number {
  if (id >= 0 && id < 0xffffffff) return id;
  throw badTar(`the tar has an entry whose owner is ${id}: ${show(path)}`);
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

const zeroBlock = Buffer.alloc(BLOCK);

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock);
}

/** Whether a file that begins with this block is a tar. */
export function isTarHeader(block: Buffer): boolean {
  return (
    block.length >= BLOCK &&
    !isZero(block) &&
    /^[ 0-7]+$/.test(stringAt(block, 148, 8)) &&
    headerSum(block) === numberAt(block, 148, 8)
  );
}

function headerSum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let index = 0; index < BLOCK; index += 1) if (index < 148 || index >= 156) sum += block[index]!;
  return sum;
}

function checkSum(block: Buffer): void {
  // What is no number is no checksum either.
  const digits = stringAt(block, 148, 8).trim();
  if (!/^[0-7]+$/.test(digits) || headerSum(block) !== Number.parseInt(digits, 8)) {
    throw badTar('this is not a tar, or it is damaged: a header does not match its checksum');
  }
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function stringAt(block: Buffer, at: number, length: number): string {
  return untilNul(block.subarray(at, at + length));
}

/** Octal text, or GNU's base-256 when the first bit is set. @throws IMGBOOT_BAD_TAR */
export function numberAt(block: Buffer, at: number, length: number): number {
  const first = block[at]!;
  if ((first & 0x80) !== 0) {
    let value = BigInt(first & 0x7f);
    if ((first & 0x40) !== 0) value -= 0x80n;
    for (let index = 1; index < length; index += 1) value = value * 256n + BigInt(block[at + index]!);
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw badTar('the tar has a number out of range');
    return number;
  }
  const text = stringAt(block, at, length).trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw badTar(`the tar has a number that is not octal: ${JSON.stringify(text)}`);
  return Number.parseInt(text, 8);
}
