import type { EntryType } from '../../src/layer/tar-entry.ts';

/** One entry of a handmade tar. Names are byte strings (latin1). */
export interface EntrySpec {
  path: string;
  /** `file` by default. */
  type?: EntryType;
  content?: string | Buffer;
  mode?: number;
  uid?: number;
  gid?: number;
  /** Seconds since 1970, with a fraction as pax has it. */
  mtime?: string;
  link?: string;
  device?: { major: number; minor: number };
  xattrs?: Record<string, Buffer | string>;
  /** Further pax records, as they are. */
  pax?: Record<string, string | Buffer>;
  /** What is written over the header's own fields, at these offsets, before the checksum is made. */
  patch?: Record<number, Buffer | string>;
  /** A type flag that is none of the usual. */
  flag?: string;
  /** What the header says instead of the content's length. */
  size?: number;
}

const BLOCK = 512;
const MTIME = '1600000000';
const flags: Record<EntryType, string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** The end-of-archive mark. */
export const endOfArchive = Buffer.alloc(2 * BLOCK);

/** A tar with just these entries, independent of any archiver: what a well-behaved one would not write. */
export function tar(...entries: (EntrySpec | Buffer)[]): Buffer {
  return Buffer.concat([tarWithoutEnd(...entries), endOfArchive]);
}

export function tarWithoutEnd(...entries: (EntrySpec | Buffer)[]): Buffer {
  return Buffer.concat(entries.map((entry) => (Buffer.isBuffer(entry) ? entry : encode(entry))));
}

/** A file entry's content with its padding, for headers that are made by hand. */
export function padded(content: Buffer | string): Buffer {
  const bytes = bytesOf(content);
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** A header that says what follows, or the next entry, is described by `body`. */
export function metaEntry(flag: 'x' | 'g' | 'L' | 'K', body: Buffer | string): Buffer {
  return encode({ path: '././@Header', flag, content: body });
}

export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([bytesOf(` ${key}=`), bytesOf(value), bytesOf('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([bytesOf(String(length)), rest]);
}

/** GNU's base-256 form of a number. */
export function base256(value: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let rest = BigInt.asUintN(length * 8, value);
  for (let at = length - 1; at >= 0; at -= 1) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0]! |= 0x80;
  return bytes;
}

function encode(entry: EntrySpec): Buffer {
  const content = bytesOf(entry.content ?? '');
  const records: Buffer[] = [];
  const path = bytesOf(entry.path);
  const link = bytesOf(entry.link ?? '');
  const [seconds = '', fraction] = (entry.mtime ?? MTIME).split('.');
  if (path.length > 100) records.push(paxRecord('path', path));
  if (link.length > 100) records.push(paxRecord('linkpath', link));
  if (fraction !== undefined || seconds.startsWith('-')) records.push(paxRecord('mtime', entry.mtime!));
  for (const [name, value] of Object.entries(entry.xattrs ?? {}))
    records.push(paxRecord(`SCHILY.xattr.${name}`, value));
  for (const [key, value] of Object.entries(entry.pax ?? {})) records.push(paxRecord(key, value));
  const described = records.length === 0 ? [] : [metaEntry('x', Buffer.concat(records))];
  return Buffer.concat([...described, header(entry, { path, link, content, seconds }), padded(content)]);
}

function header(
  entry: EntrySpec,
  { path, link, content, seconds }: { path: Buffer; link: Buffer; content: Buffer; seconds: string },
): Buffer {
  const type = entry.type ?? 'file';
  const block = Buffer.alloc(BLOCK);
  path.copy(block, 0, 0, Math.min(path.length, 100));
  octal(block, 100, 8, entry.mode ?? (type === 'directory' ? 0o755 : 0o644));
  octal(block, 108, 8, entry.uid ?? 0);
  octal(block, 116, 8, entry.gid ?? 0);
  octal(block, 124, 12, entry.size ?? content.length);
  octal(block, 136, 12, seconds.startsWith('-') ? 0 : Number(seconds));
  block.write(entry.flag ?? flags[type], 156, 'latin1');
  link.copy(block, 157, 0, Math.min(link.length, 100));
  block.write('ustar\x0000', 257, 'latin1');
  octal(block, 329, 8, entry.device?.major ?? 0);
  octal(block, 337, 8, entry.device?.minor ?? 0);
  for (const [offset, value] of Object.entries(entry.patch ?? {})) bytesOf(value).copy(block, Number(offset));
  if (!Object.hasOwn(entry.patch ?? {}, 148)) {
    block.fill(' ', 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
}

function bytesOf(value: string | Buffer): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value, 'latin1');
}
