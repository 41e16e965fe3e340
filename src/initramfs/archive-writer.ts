import { setImmediate } from 'node:timers/promises';
import pack from 'cpio-stream/lib/pack.js';
import type { AsideFile } from '../system/aside.ts';
import type { PlannedEntry } from './archive-plan.ts';
import { compressionParallelism, type Compressor } from './compression.ts';
import {
  encodeNewcHeader,
  NEWC_HEADER_BYTES,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  TRAILER,
  type NewcHeader,
} from './newc.ts';

/** How far ahead packed files are unpacked: enough to keep other processors busy meanwhile. */
const PARTS_AHEAD = 6;

/**
 * Writes planned entries as one newc archive: packed by cpio-stream, cut between members, compressed side by side,
 * written in order. Nothing is kept but the parts in the works.
 */
export class ArchiveWriter {
  readonly #pack = pack({ format: 'newc' });
  readonly #out: AsideFile;
  readonly #compressor: Compressor;
  readonly #mtimeSeconds: number;
  readonly #signal: AbortSignal | undefined;
  readonly #inTheWorks: { part: PartBuffer; files: WrittenFile[]; compressed: Promise<Uint8Array> }[] = [];
  readonly #spareParts: PartBuffer[] = [];
  #part: PartBuffer;
  readonly #files: WrittenFile[] = [];
  /** Where the files of the part begin, among all. */
  #partFiles = 0;
  #nextIno = 1;
  #entryCount = 0;
  #archiveBytes = 0;

  private constructor(settings: ArchiveSettings) {
    this.#out = settings.out;
    this.#compressor = settings.compressor;
    this.#part = new PartBuffer(settings.compressor.partBytes);
    this.#mtimeSeconds = settings.mtimeSeconds;
    this.#signal = settings.signal;
    // Its own counts a name's length in characters, takes a time of 0 for now, and clamps sizes.
    this.#pack._encode = ({ member }) => encodeNewcHeader(member ?? trailer);
    this.#pack.on('data', (piece: Buffer) => this.#part.append(piece));
  }

  static async create(settings: ArchiveSettings): Promise<ArchiveWriter> {
    const writer = new ArchiveWriter(settings);
    // A stream begins to flow a turn after it has a listener; from then on a piece is passed on as it comes.
    await setImmediate();
    return writer;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /** Uncompressed. */
  get archiveBytes(): number {
    return this.#archiveBytes;
  }

  /** The files so far; what each takes packed is known of those in parts that are written. */
  get files(): readonly WrittenFile[] {
    return this.#files;
  }

  /** Adds entries in the given order, and drops their content as it goes. */
  async append(entries: readonly PlannedEntry[]): Promise<void> {
    const parts = [...divide(entries, this.#compressor.partBytes)];
    const background = new Map<PlannedEntry, Promise<Buffer>>();
    let started = 0;
    for (const [index, part] of parts.entries()) {
      this.#signal?.throwIfAborted();
      for (; started < Math.min(index + PARTS_AHEAD, parts.length); started++) {
        startBackgroundLoads(parts[started]!, background);
      }
      for (const entry of part) {
        if (entry.kind !== 'file') this.#addMember(entry, bodyOf(entry));
        else if (typeof entry.content.load === 'function') this.#addMember(entry, entry.content.load());
        else {
          const bytes = await background.get(entry)!;
          this.#addMember(entry, bytes);
          entry.content.load.release?.(bytes);
          background.delete(entry);
        }
      }
      await this.#endPart();
    }
  }

  /** Ends the archive; all of it is written when this resolves. */
  async finish(): Promise<void> {
    this.#pack.finalize();
    await this.#endPart();
    while (this.#inTheWorks.length > 0) await this.#writeOldest();
  }

  /** Waits for what the thread pool still holds; for leaving early. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#inTheWorks.map(({ compressed }) => compressed));
  }

  #addMember(entry: PlannedEntry, body: Buffer): void {
    const member: NewcHeader = {
      name: entry.path.slice(1),
      ino: this.#nextIno++,
      mode: modeOf(entry),
      nlink: entry.kind === 'directory' ? 2 : 1,
      mtimeSeconds: this.#mtimeSeconds,
      sizeBytes: body.length,
      device: entry.kind === 'character-device' ? entry.device : undefined,
      namePadding: entry.kind === 'file' ? this.#namePadding(entry) : undefined,
    };
    const before = this.#part.length;
    this.#pack.entry({ name: member.name, mode: member.mode, member }, body);
    // The body's memory is used again: a piece that were still on its way would change.
    if (this.#part.length - before < body.length) throw new Error('cpio-stream kept a piece back');
    this.#entryCount++;
    if (entry.kind !== 'file') return;
    const { path, cause } = entry;
    this.#files.push({ path, cause, sizeBytes: body.length, packedBytes: 0 });
  }

  #namePadding({ path, alignBytes }: { path: string; alignBytes?: number | undefined }): number | undefined {
    if (alignBytes === undefined) return undefined;
    const nameBytes = Buffer.byteLength(path);
    const content = this.#archiveBytes + this.#part.length + ((NEWC_HEADER_BYTES + nameBytes + 3) & ~3);
    const over = content % alignBytes;
    return over === 0 ? 0 : alignBytes - over;
  }

  async #endPart(): Promise<void> {
    const part = this.#part;
    if (part.length === 0) return;
    this.#part = this.#spareParts.pop() ?? new PartBuffer(this.#compressor.partBytes);
    this.#archiveBytes += part.length;
    const compressed = this.#compressor.compress(part.bytes);
    // Awaited later, in order: until then a failure must not count as unhandled.
    compressed.catch(() => {});
    this.#inTheWorks.push({ part, files: this.#files.slice(this.#partFiles), compressed });
    this.#partFiles = this.#files.length;
    if (this.#inTheWorks.length >= compressionParallelism()) await this.#writeOldest();
  }

  async #writeOldest(): Promise<void> {
    const { part, files, compressed } = this.#inTheWorks.shift()!;
    const bytes = await compressed;
    this.#out.write(bytes);
    for (const file of files) file.packedBytes = (file.sizeBytes / part.length) * bytes.length;
    part.empty();
    this.#spareParts.push(part);
  }
}

/** A file that went into the archive. */
export interface WrittenFile {
  path: string;
  cause: string;
  sizeBytes: number;
  /** Its share of the compressed part that it lies in. */
  packedBytes: number;
}

interface ArchiveSettings {
  out: AsideFile;
  compressor: Compressor;
  mtimeSeconds: number;
  signal: AbortSignal | undefined;
}

const trailer: NewcHeader = { name: TRAILER, ino: 0, mode: 0, nlink: 1, mtimeSeconds: 0, sizeBytes: 0 };

/** Bytes that are collected in one piece of memory. */
class PartBuffer {
  #bytes: Buffer;
  #length = 0;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(expectedBytes + (expectedBytes >> 2));
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  empty(): void {
    this.#length = 0;
  }

  append(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2));
      this.bytes.copy(larger);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.#length);
    this.#length = length;
  }
}

/** Begins what a part's files need of the thread pool and other programs, all at once. */
function startBackgroundLoads(
  part: readonly PlannedEntry[],
  loads: Map<PlannedEntry, Promise<Buffer>>,
): void {
  for (const entry of part) {
    if (entry.kind !== 'file' || typeof entry.content.load === 'function') continue;
    const load = entry.content.load.inBackground();
    // Awaited in the order of the archive: until then a failure must not count as unhandled.
    load.catch(() => {});
    loads.set(entry, load);
  }
}

function* divide(entries: readonly PlannedEntry[], partBytes: number): Generator<PlannedEntry[]> {
  let part: PlannedEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    part.push(entry);
    bytes += entry.kind === 'file' ? entry.content.expectedBytes : 0;
    if (bytes >= partBytes) {
      yield part;
      part = [];
      bytes = 0;
    }
  }
  if (part.length > 0) yield part;
}

function bodyOf(entry: PlannedEntry): Buffer {
  return Buffer.from(entry.kind === 'symlink' ? entry.target : '');
}

const typeBits = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  'character-device': S_IFCHR,
} as const;

function modeOf(entry: PlannedEntry): number {
  return typeBits[entry.kind] | (entry.kind === 'symlink' ? 0o777 : entry.mode);
}
