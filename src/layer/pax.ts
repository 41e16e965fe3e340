import { ImgbootError } from '../errors.ts';
import type { TimeSpec } from '../system/libc.ts';
import { parseAclText } from './acl.ts';

/** The records of a pax extended header, keyed; sparse version 0.0 repeats a key, so the order is kept apart. */
export class PaxRecords {
  readonly values = new Map<string, Buffer>();
  /** `GNU.sparse.offset` and `.numbytes` of sparse format 0.0, as they came. */
  readonly sparsePairs: number[] = [];

  /** Of all keys and values. */
  get sizeBytes(): number {
    return [...this.values].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  }

  /** @throws IMGBOOT_BAD_TAR @see pax(1), "pax Extended Header" */
  static parse(body: Buffer): PaxRecords {
    const records = new PaxRecords();
    for (let at = 0; at < body.length && body[at] !== 0;) {
      const space = body.indexOf(0x20, at);
      const digits = body.toString('latin1', at, Math.max(at, space));
      const length = Number(digits);
      if (
        !/^[0-9]{1,8}$/.test(digits) ||
        length < 5 ||
        at + length > body.length ||
        body[at + length - 1] !== 0x0a
      ) {
        throw new ImgbootError('IMGBOOT_BAD_TAR', 'a pax header has a record of impossible length');
      }
      const equals = body.indexOf(0x3d, space);
      if (equals < 0 || equals >= at + length) {
        throw new ImgbootError('IMGBOOT_BAD_TAR', 'a pax header has a record without "="');
      }
      records.#add(
        body.toString('latin1', space + 1, equals),
        Buffer.from(body.subarray(equals + 1, at + length - 1)),
      );
      at += length;
    }
    return records;
  }

  /** The records of this header over those of a global one. */
  over(global: PaxRecords | undefined): PaxRecords {
    if (global === undefined) return this;
    const merged = new PaxRecords();
    for (const [key, value] of [...global.values, ...this.values]) merged.values.set(key, value);
    merged.sparsePairs.push(...this.sparsePairs);
    return merged;
  }

  /** A value as a byte string; an empty value withdraws the key. */
  text(key: string): string | undefined {
    const value = this.values.get(key);
    return value === undefined || value.length === 0 ? undefined : value.toString('latin1');
  }

  /** @throws IMGBOOT_BAD_TAR for a value that is not a whole number */
  number(key: string): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!/^-?[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
      throw new ImgbootError('IMGBOOT_BAD_TAR', `a pax header has ${key}=${text}, which is not a number`);
    }
    return value;
  }

  /** Seconds with an optional fraction, exact to the nanosecond. */
  time(key: string): TimeSpec | undefined {
    const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(this.text(key) ?? '');
    if (match === null) return undefined;
    const seconds = BigInt(match[2]!);
    const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
    if (match[1] === '') return { seconds, nanoseconds };
    return nanoseconds === 0
      ? { seconds: -seconds, nanoseconds }
      : { seconds: -seconds - 1n, nanoseconds: 1_000_000_000 - nanoseconds };
  }

  /** Extended attributes in the forms of star, GNU tar and libarchive; ACLs in text are made binary. */
  xattrs(): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    for (const [key, value] of this.values) {
      if (key.startsWith('SCHILY.xattr.')) found.set(key.slice('SCHILY.xattr.'.length), value);
      else if (key.startsWith('LIBARCHIVE.xattr.')) {
        const name = percentDecode(key.slice('LIBARCHIVE.xattr.'.length));
        if (!found.has(name)) found.set(name, Buffer.from(value.toString('latin1'), 'base64'));
      } else if (key === 'SCHILY.acl.access')
        found.set('system.posix_acl_access', parseAclText(value.toString('latin1')));
      else if (key === 'SCHILY.acl.default')
        found.set('system.posix_acl_default', parseAclText(value.toString('latin1')));
    }
    // The kernel would see another name, the one before the zero byte.
    if ([...found.keys()].some((name) => name.includes('\0')))
      throw new ImgbootError('IMGBOOT_BAD_TAR', 'an extended attribute has a zero byte in its name');
    return found;
  }

  #add(key: string, value: Buffer): void {
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      this.sparsePairs.push(Number(value.toString('latin1')));
    }
    this.values.set(key, value);
  }
}

/** Byte strings: one character a byte. */
function percentDecode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
