import { readFileSync } from 'node:fs';
import { ImgbootError, errorMessage } from '../errors.ts';
import { formatAt, unpackPart, type PartFormat } from './compressed-part.ts';
import { badInitramfs, NewcReader, type ArchiveMember, type MemberSink } from './newc-reader.ts';

/** An initramfs as the kernel sees it: archives in a row, each plain or compressed. */
export interface InitramfsListing {
  /** The formats met, in their order; the same one twice in a row counts once. */
  formats: ('cpio' | PartFormat)[];
  members: ArchiveMember[];
}

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** Gets every member with its content. */
  sink?: MemberSink | undefined;
}

/**
 * Lists every member of an initramfs, in the order of the file, behind any early archive, too.
 * @throws IMGBOOT_CANNOT_READ, IMGBOOT_BAD_INITRAMFS, IMGBOOT_NEEDS_UNPACKER
 */
export async function readInitramfs(path: string, options: ReadOptions = {}): Promise<InitramfsListing> {
  const file = readWholeFile(path);
  const listing: InitramfsListing = { formats: [], members: [] };
  for (let at = 0; at < file.length;) {
    options.signal?.throwIfAborted();
    if (file[at] === 0) at++;
    else if (file[at] === 0x30) at = readPlainPart(file, at, { listing, ...options });
    else at = await readCompressedPart(file, at, { listing, ...options });
  }
  if (listing.formats.length === 0) throw badInitramfs(file.length === 0 ? 'it is empty' : 'it is all zeros');
  return listing;
}

type PartReading = ReadOptions & { listing: InitramfsListing };

function readPlainPart(file: Buffer, at: number, { listing, sink }: PartReading): number {
  note(listing, 'cpio');
  const reader = new NewcReader(sink);
  for (const member of reader.push(file.subarray(at))) listing.members.push(member);
  const next = file.length - reader.untaken;
  if (reader.atBoundary) reader.leave();
  reader.end();
  return next;
}

async function readCompressedPart(
  file: Buffer,
  at: number,
  { listing, sink, signal }: PartReading,
): Promise<number> {
  const format = formatAt(file, at);
  if (format === undefined) {
    throw badInitramfs(`at byte ${at} begins neither a cpio archive nor a known compression`);
  }
  note(listing, format);
  const reader = new NewcReader(sink);
  const pieces = unpackPart(file, at, format);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) {
      reader.end();
      return value;
    }
    signal?.throwIfAborted();
    for (const member of reader.push(value)) listing.members.push(member);
    if (reader.atBoundary && reader.untaken > 0) {
      await pieces.return(0);
      throw badInitramfs(`what is in its ${format} part at byte ${at} is no cpio archive`);
    }
  }
}

function note(listing: InitramfsListing, format: 'cpio' | PartFormat): void {
  if (listing.formats.at(-1) !== format) listing.formats.push(format);
}

function readWholeFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_CANNOT_READ', `cannot read ${path}: ${errorMessage(cause)}`, {
      cause,
      hint: 'give the file of an initramfs, such as /boot/initrd.img',
    });
  }
}
