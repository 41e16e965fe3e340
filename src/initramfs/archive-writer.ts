import pack from 'cpio-stream/lib/pack.js';
import type { AsideFile } from '../system/aside.ts';
import type { PlannedEntry } from './archive-plan.ts';
import { compressionParallelism, type Compressor } from './compression.ts';
import { encodeNewcHeader, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, TRAILER, type NewcHeader } from './newc.ts';

/**
 * A part of the archive that is compressed by itself. The kernel unpacks several compressed streams in a row, each
 * ending between two members; big enough to lose little by it, small enough to keep every processor busy.
 * Part of the format: another size gives other bytes.
 */
const PART_BYTES = 6 * 1024 * 1024;

/**
 * Writes planned entries as one newc archive: packed by cpio-stream, cut between members, compressed side by side,
 * written in order. Nothing is kept but the parts in the works.
 */
export class ArchiveWriter {
  readonly #pack = pack({ format: 'newc' });
  readonly #out: AsideFile;
  readonly #compress: Compressor;
  readonly #mtimeSeconds: number;
  readonly #signal: AbortSignal | undefined;
  readonly #inTheWorks: Promise<Uint8Array>[] = [];
  #nextIno = 1;
  #entryCount = 0;
  #archiveBytes = 0;

  constructor(settings: {
    out: AsideFile;
    compress: Compressor;
    mtimeSeconds: number;
    signal: AbortSignal | undefined;
  }) {
    this.#out = settings.out;
    this.#compress = settings.compress;
    this.#mtimeSeconds = settings.mtimeSeconds;
    this.#signal = settings.signal;
    // Its own counts a name's length in characters, takes a time of 0 for now, and clamps sizes.
    this.#pack._encode = ({ member }) =>
      encodeNewcHeader(member ?? { name: TRAILER, ino: 0, mode: 0, nlink: 1, mtimeSeconds: 0, sizeBytes: 0 });
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /** Uncompressed. */
  get archiveBytes(): number {
    return this.#archiveBytes;
  }

  /** Adds entries in the given order, and drops their content as it goes. */
  async append(entries: readonly PlannedEntry[]): Promise<void> {
    for (const part of divide(entries)) {
      this.#signal?.throwIfAborted();
      const bodies = part.map((entry) => (entry.kind === 'file' ? entry.content.load() : undefined));
      for (const [index, entry] of part.entries()) this.#addMember(entry, await bodies[index]);
      await this.#flush();
    }
  }

  /** Ends the archive; all of it is written when this resolves. */
  async finish(): Promise<void> {
    this.#pack.finalize();
    await this.#flush();
    while (this.#inTheWorks.length > 0) this.#out.write(await this.#inTheWorks.shift()!);
  }

  /** Waits for what the thread pool still holds; for leaving early. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#inTheWorks);
  }

  #addMember(entry: PlannedEntry, content: Buffer | undefined): void {
    const body = entry.kind === 'symlink' ? Buffer.from(entry.target) : (content ?? Buffer.alloc(0));
    const member: NewcHeader = {
      name: entry.path.slice(1),
      ino: this.#nextIno++,
      mode: modeOf(entry),
      nlink: entry.kind === 'directory' ? 2 : 1,
      mtimeSeconds: this.#mtimeSeconds,
      sizeBytes: body.length,
      device: entry.kind === 'character-device' ? entry.device : undefined,
    };
    this.#pack.entry({ name: member.name, mode: member.mode, member }, body);
    this.#entryCount++;
  }

  async #flush(): Promise<void> {
    const part = this.#pack.read() as Buffer | null;
    if (part === null) return;
    this.#archiveBytes += part.length;
    const compressed = this.#compress(part);
    // Awaited later, in order: until then a failure must not count as unhandled.
    compressed.catch(() => {});
    this.#inTheWorks.push(compressed);
    if (this.#inTheWorks.length >= compressionParallelism()) this.#out.write(await this.#inTheWorks.shift()!);
  }
}

function* divide(entries: readonly PlannedEntry[]): Generator<PlannedEntry[]> {
  let part: PlannedEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    part.push(entry);
    bytes += entry.kind === 'file' ? entry.content.expectedBytes : 0;
    if (bytes >= PART_BYTES) {
      yield part;
      part = [];
      bytes = 0;
    }
  }
  if (part.length > 0) yield part;
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
