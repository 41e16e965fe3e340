import { createHash } from 'node:crypto';
import { PaxRecords } from '../layer/pax.ts';
import { numberAt } from '../layer/tar-reader.ts';
import { paxRecord } from '../layer/tar-writer.ts';

/**
 * What writes a top layer's tar in an initramfs. GNU tar 1.35 leaves the device fields of what is no device empty, where
 * those before it write zeros, and an ACL without the end of its last line: the same top layer has two digests.
 */
export type TarStyle = 'before 1.35' | 'since 1.35';

const styles = ['before 1.35', 'since 1.35'] as const;

const BLOCK = 512;
/** ustar: the type flags of files, hard links, symbolic links, directories and pipes. */
const noDevice = new Set(['0', '1', '2', '5', '6']);
/** ustar: where devmajor and devminor begin. */
const DEVICES_AT = 329;
const devices: Readonly<Record<TarStyle, Buffer>> = {
  'before 1.35': Buffer.from('0000000\x000000000\0', 'latin1'),
  'since 1.35': Buffer.alloc(16),
};
/** ustar: size and chksum. */
const SIZE_AT = 124;
const CHECKSUM = { start: 148, end: 156 } as const;
const aclKey = /^SCHILY\.acl\./;

/** The digests that a tar written by GNU tar in posix format has, whichever GNU tar writes it. */
export class TarDigests {
  readonly #hashes = { 'before 1.35': createHash('sha256'), 'since 1.35': createHash('sha256') };
  /** The part of a header, or of a pax header's body, that has come. */
  #collected: Buffer[] = [];
  #missing = BLOCK;
  /** What comes: a file's content passes, the others are collected. */
  #coming: 'header' | 'pax' | 'content' = 'header';
  #paxHeader: Buffer = Buffer.alloc(0);
  #pax: PaxRecords | undefined;

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + this.#missing);
      at += part.length;
      this.#missing -= part.length;
      if (this.#coming === 'content') this.#hash(() => part);
      else this.#collected.push(part);
      if (this.#missing === 0) this.#next();
    }
  }

  /** Call once, at the end of the tar. */
  digests(): Record<TarStyle, string> {
    const digest = (style: TarStyle): string => `sha256:${this.#hashes[style].digest('hex')}`;
    return { 'before 1.35': digest('before 1.35'), 'since 1.35': digest('since 1.35') };
  }

  #next(): void {
    const bytes = Buffer.concat(this.#collected);
    this.#collected = [];
    const came = this.#coming;
    this.#want('header', BLOCK);
    if (came === 'header') this.#header(bytes);
    else if (came === 'pax') this.#paxBody(bytes);
  }

  #header(block: Buffer): void {
    const type = String.fromCharCode(block[156]!);
    const size = numberAt(block, SIZE_AT, 12);
    if (type === 'x' && size > 0) {
      this.#paxHeader = block;
      this.#want('pax', padded(size));
      return;
    }
    this.#hash((style) => (noDevice.has(type) ? withDevices(block, style) : block));
    const content = type === '0' ? (this.#pax?.number('size') ?? size) : 0;
    this.#pax = undefined;
    if (content > 0) this.#want('content', padded(content));
  }

  #paxBody(body: Buffer): void {
    const records = PaxRecords.parse(body);
    this.#pax = records;
    this.#hash((style) => {
      const styled = [...records.values].map(([key, value]) =>
        paxRecord(key, aclKey.test(key) ? styledAcl(value, style) : value),
      );
      const bytes = Buffer.concat(styled);
      const header = Buffer.from(this.#paxHeader);
      header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, SIZE_AT, 'latin1');
      return Buffer.concat([withChecksum(header), bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]);
    });
  }

  #want(coming: 'header' | 'pax' | 'content', size: number): void {
    this.#coming = coming;
    this.#missing = size;
  }

  #hash(bytes: (style: TarStyle) => Buffer): void {
    for (const style of styles) this.#hashes[style].update(bytes(style));
  }
}

function withDevices(block: Buffer, style: TarStyle): Buffer {
  const copy = Buffer.from(block);
  devices[style].copy(copy, DEVICES_AT);
  return withChecksum(copy);
}

function styledAcl(text: Buffer, style: TarStyle): Buffer {
  if (text.length === 0) return text;
  const plain = text.at(-1) === 0x0a ? text.subarray(0, -1) : text;
  return style === 'before 1.35' ? Buffer.concat([plain, Buffer.from('\n')]) : plain;
}

function withChecksum(header: Buffer): Buffer {
  header.fill(' ', CHECKSUM.start, CHECKSUM.end);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, CHECKSUM.start, 'latin1');
  return header;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
