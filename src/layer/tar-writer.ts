import { ImgbootError } from '../errors.ts';
import type { EntryType, TarEntry } from './tar-entry.ts';

const BLOCK = 512;
const typeFlags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** What ustar's octal fields can hold. */
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;

/**
 * The header of an entry in a layer tar, with a pax header before it where ustar cannot say it all. Canonical: the
 * same entry gives the same bytes. @see pax(1); xattrs as `SCHILY.xattr.*`, as every OCI tool reads them
 */
export function encodeEntry(entry: TarEntry): Buffer {
  const records = paxRecords(entry);
  const main = header(entry, typeFlags[entry.type]);
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const pax = header(
    {
      ...entry,
      path: paxName(entry.path),
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: { seconds: 0n, nanoseconds: 0 },
      linkTarget: '',
      size: body.length,
      device: { major: 0, minor: 0 },
    },
    'x',
  );
  return Buffer.concat([pax, body, padding(body.length), main]);
}

/** Zeros after `size` bytes of content. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const endOfArchive = Buffer.alloc(2 * BLOCK);

function paxRecords(entry: TarEntry): Buffer[] {
  const records: Buffer[] = [];
  const { seconds, nanoseconds } = entry.mtime;
  if (!fits(entry.path)) records.push(paxRecord('path', entry.path));
  if (!fits(entry.linkTarget)) records.push(paxRecord('linkpath', entry.linkTarget));
  if (entry.size > MAX_SIZE) records.push(paxRecord('size', String(entry.size)));
  if (entry.uid > MAX_ID) records.push(paxRecord('uid', String(entry.uid)));
  if (entry.gid > MAX_ID) records.push(paxRecord('gid', String(entry.gid)));
  if (nanoseconds !== 0 || seconds < 0n || seconds > BigInt(MAX_SIZE))
    records.push(paxRecord('mtime', paxTime(seconds, nanoseconds)));
  for (const name of [...entry.xattrs.keys()].sort())
    records.push(paxRecord(`SCHILY.xattr.${name}`, entry.xattrs.get(name)!));
  return records;
}

/** A name that ustar's field holds and that means the same in every encoding. */
function fits(name: string): boolean {
  return name.length <= 100 && /^[\0-\x7f]*$/.test(name);
}

/** A record of a pax header: `LENGTH KEY=VALUE\n`, the length counting itself. @see pax(1) */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const rest = key.length + bytes.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), bytes, Buffer.from('\n')]);
}

function paxTime(seconds: bigint, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  // Before 1970 the fraction counts towards zero in pax's decimal notation.
  if (seconds >= 0n) return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
  return `${seconds === -1n ? '-0' : String(seconds + 1n)}.${String(1_000_000_000 - nanoseconds).padStart(9, '0')}`;
}

function paxName(path: string): string {
  return `PaxHeaders/${path.slice(path.lastIndexOf('/', path.length - 2) + 1)}`.slice(0, 100);
}

function header(entry: TarEntry, typeFlag: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(entry.path.slice(0, 100), 0, 'latin1');
  octal(block, { at: 100, length: 8, value: entry.mode });
  octal(block, { at: 108, length: 8, value: Math.min(entry.uid, MAX_ID) });
  octal(block, { at: 116, length: 8, value: Math.min(entry.gid, MAX_ID) });
  octal(block, { at: 124, length: 12, value: Math.min(entry.size, MAX_SIZE) });
  const seconds = entry.mtime.seconds;
  octal(block, {
    at: 136,
    length: 12,
    value: seconds < 0n || seconds > BigInt(MAX_SIZE) ? 0 : Number(seconds),
  });
  block.write(typeFlag, 156, 'latin1');
  block.write(entry.linkTarget.slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  if (entry.type === 'character' || entry.type === 'block') {
    if (entry.device.major > MAX_ID || entry.device.minor > MAX_ID)
      throw new ImgbootError(
        'IMGBOOT_BAD_LAYER',
        `the device number ${entry.device.major}:${entry.device.minor} does not fit a tar`,
      );
    octal(block, { at: 329, length: 8, value: entry.device.major });
    octal(block, { at: 337, length: 8, value: entry.device.minor });
  }
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, { at, length, value }: { at: number; length: number; value: number }): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
}
