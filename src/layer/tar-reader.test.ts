import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync, writeSync, openSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  base256,
  metaEntry,
  padded,
  paxRecord,
  tar,
  tarWithoutEnd,
  type EntrySpec,
} from '../../test/support/tar-builder.ts';
import type { TarEntry, TarHandler } from './tar-entry.ts';
import { TarReader } from './tar-reader.ts';

interface ReadEntry extends TarEntry {
  /** Its runs of data, by offset. */
  data: Map<number, Buffer>;
}

/** Reads a tar in pieces of so many bytes. */
function read(bytes: Buffer, pieceBytes = bytes.length): { entries: ReadEntry[]; reader: TarReader } {
  const entries: ReadEntry[] = [];
  let ended = 0;
  const handler: TarHandler = {
    entry: (entry) => void entries.push({ ...entry, data: new Map() }),
    data: (chunk, offset) => void entries.at(-1)!.data.set(offset, Buffer.from(chunk)),
    endEntry: () => void (ended += 1),
  };
  const reader = new TarReader(handler);
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.write(bytes.subarray(at, at + pieceBytes));
  reader.finish();
  expect(ended).toBe(entries.length);
  return { entries, reader };
}

function content(entry: ReadEntry): string {
  const whole = Buffer.alloc(entry.size);
  for (const [offset, chunk] of entry.data) chunk.copy(whole, offset);
  return whole.toString('latin1');
}

const next = { path: 'next', content: 'of the archive' };

describe('a tar stream', () => {
  it.each([1, 7, 511, 512, 513, 4096])('read in pieces of %i bytes is the same', (pieceBytes) => {
    const bytes = tar(
      { path: 'file', content: 'x'.repeat(1500), mtime: '1.5' },
      { path: `${'long/'.repeat(50)}name`, type: 'symlink', link: 'y'.repeat(300) },
      next,
    );
    const { entries } = read(bytes, pieceBytes);
    expect(entries.map((entry) => [entry.path, entry.linkTarget, content(entry)])).toEqual([
      ['file', '', 'x'.repeat(1500)],
      [`${'long/'.repeat(50)}name`, 'y'.repeat(300), ''],
      ['next', '', 'of the archive'],
    ]);
  });

  it('takes long names of GNU tar and prefixes of ustar', () => {
    const { entries } = read(
      tar(
        metaEntry('L', `${'g'.repeat(150)}\0`),
        metaEntry('K', `${'k'.repeat(150)}\0`),
        { path: 'short', type: 'symlink', link: 'short' },
        { path: 'name', patch: { 345: 'some/prefix' } },
      ),
    );
    expect(entries.map((entry) => [entry.path, entry.linkTarget])).toEqual([
      ['g'.repeat(150), 'k'.repeat(150)],
      ['some/prefix/name', ''],
    ]);
  });

  it('takes numbers in base 256, negative times among them', () => {
    const [entry] = read(
      tar({
        path: 'x',
        patch: { 108: base256(3_000_000_000n, 8), 136: base256(-2n, 12) },
      }),
    ).entries;
    expect([entry!.uid, entry!.mtime]).toEqual([3_000_000_000, { seconds: -2n, nanoseconds: 0 }]);
  });

  it('takes the records of a global header until an entry says otherwise', () => {
    const { entries } = read(
      tar(metaEntry('g', Buffer.concat([paxRecord('uid', '7'), paxRecord('mtime', '-0.25')])), next, {
        ...next,
        pax: { uid: '8', mtime: '' },
      }),
    );
    expect(entries.map((entry) => [entry.uid, entry.mtime])).toEqual([
      [7, { seconds: -1n, nanoseconds: 750_000_000 }],
      [8, { seconds: 1_600_000_000n, nanoseconds: 0 }],
    ]);
  });

  it('ignores the size of what has no content', () => {
    const { entries } = read(
      tar(
        { path: 'd/', type: 'directory', size: 4096 },
        { path: 'h', type: 'hardlink', link: 'x', size: 100 },
        { path: 's', type: 'symlink', link: 'x', size: 1 },
        next,
      ),
    );
    expect(entries.map((entry) => [entry.path, entry.size])).toEqual([
      ['d/', 0],
      ['h', 0],
      ['s', 0],
      ['next', 14],
    ]);
  });

  it('takes an empty file with a slash at its end for a directory, and one with content for a file', () => {
    const { entries } = read(tar({ path: 'old/', flag: '\0' }, { path: 'odd/', content: 'x' }, next));
    expect(entries.map((entry) => entry.type)).toEqual(['directory', 'file', 'file']);
  });

  it('ends at its mark, and nothing behind it is read', () => {
    const { entries, reader } = read(Buffer.concat([tar(next), tar({ path: 'behind' })]));
    expect(entries.map((entry) => entry.path)).toEqual(['next']);
    expect(reader.sawEnd).toBe(true);
  });

  it('goes on after a single block of zeros, as GNU tar does', () => {
    const { entries } = read(Buffer.concat([tarWithoutEnd(next), Buffer.alloc(512), tar(next)]));
    expect(entries).toHaveLength(2);
  });

  it('without its mark has not seen its end', () => {
    expect(read(tarWithoutEnd(next)).reader.sawEnd).toBe(false);
  });

  it.each([
    ['in a header', 100],
    ['in the content', 600],
    ['in the padding', 1530],
  ])('cut off %s is refused', (_where, length) => {
    const bytes = tarWithoutEnd({ path: 'x', content: 'x'.repeat(1000) });
    expect(() => read(bytes.subarray(0, length))).toThrow('cut off');
  });
});

describe('extended attributes and ACLs', () => {
  it('come in the forms of star, libarchive and GNU tar', () => {
    const [entry] = read(
      tar({
        path: 'x',
        pax: {
          'SCHILY.xattr.user.star': Buffer.from([0, 10, 255]),
          'LIBARCHIVE.xattr.user.with%20space': 'AAr/',
          'SCHILY.acl.access': 'user::rwx,user:root:r-x:0,group::r--,mask::r-x,other::---',
          'SCHILY.acl.default': 'user::rwx\nuser:1000:rwx\ngroup::r-x\nmask::rwx\nother::---\n',
        },
      }),
    ).entries;
    expect([...entry!.xattrs].map(([name, value]) => [name, value.toString('hex')])).toEqual([
      ['user.star', '000aff'],
      ['user.with space', '000aff'],
      [
        'system.posix_acl_access',
        '02000000' +
          '01000700ffffffff' +
          '0200050000000000' +
          '04000400ffffffff' +
          '10000500ffffffff' +
          '20000000ffffffff',
      ],
      [
        'system.posix_acl_default',
        '02000000' +
          '01000700ffffffff' +
          '02000700e8030000' +
          '04000500ffffffff' +
          '10000700ffffffff' +
          '20000000ffffffff',
      ],
    ]);
  });

  it('an ACL with a name and no number is refused: it would mean another user elsewhere', () => {
    const bytes = tar({ path: 'x', pax: { 'SCHILY.acl.access': 'user::rwx,user:daemon:r-x,group::r--' } });
    expect(() => read(bytes)).toThrow('user:daemon:r-x');
  });
});

describe('sparse files', () => {
  const MIB = 1 << 20;

  /** A file with data at 0, 1 MiB and 2 MiB - 4, and holes between. */
  function gnuTar(...options: string[]): Buffer {
    const directory = mkdtempSync(join(tmpdir(), 'imgboot-sparse-'));
    try {
      const file = join(directory, 'sparse');
      writeFileSync(file, 'start');
      truncateSync(file, 3 * MIB);
      const fd = openSync(file, 'r+');
      writeSync(fd, 'middle', MIB);
      writeSync(fd, 'end', 2 * MIB - 3);
      closeSync(fd);
      return execFileSync('tar', ['--create', '--sparse', ...options, '--directory', directory, 'sparse'], {
        maxBuffer: 16 * MIB,
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  it.each([
    ['the old format', ['--format=gnu']],
    ['pax 0.0', ['--format=pax', '--sparse-version=0.0']],
    ['pax 0.1', ['--format=pax', '--sparse-version=0.1']],
    ['pax 1.0', ['--format=pax', '--sparse-version=1.0']],
  ])('as GNU tar writes them in %s keep their holes', (_format, options) => {
    const [entry] = read(gnuTar(...options)).entries;
    expect(entry!.path).toBe('sparse');
    expect(entry!.size).toBe(3 * MIB);
    const stored = [...entry!.data.values()].reduce((sum, chunk) => sum + chunk.length, 0);
    expect(stored).toBeLessThan(64 << 10);
    const whole = content(entry!);
    expect([whole.slice(0, 5), whole.slice(MIB, MIB + 6), whole.slice(2 * MIB - 3, 2 * MIB)]).toEqual([
      'start',
      'middle',
      'end',
    ]);
    expect(whole.replaceAll('\0', '')).toBe('startmiddleend');
  });
});

/** What no archiver writes. Reading ends at once, with the error. */
const refused: Record<string, (EntrySpec | Buffer)[]> = {
  'an owner that chown(2) takes for none': [{ path: 'x', patch: { 116: base256(4_294_967_295n, 8) } }],
  'an entry of negative size': [{ path: 'x', patch: { 124: base256(-512n, 12) } }],
  'a pax header of negative size': [{ path: 'x', flag: 'x', patch: { 124: base256(-512n, 12) } }, next],
  'a pax header too large for any name': [{ path: 'x', flag: 'x', patch: { 124: base256(1n << 40n, 12) } }],
  'a pax record longer than its header': [metaEntry('x', '99999 path=x\n'), next],
  'a pax record without a value': [metaEntry('x', '7 path\n'), next],
  'a pax size that is no number': [metaEntry('x', paxRecord('size', '12abc')), next],
  'a pax size that leads past the end': [metaEntry('x', paxRecord('size', '999999999')), next],
  'global headers without end': Array.from({ length: 20 }, (_, index) =>
    metaEntry('g', paxRecord(`key${index}`, Buffer.alloc(1 << 20, 0x61))),
  ),
  'a header that does not match its checksum': [{ path: 'x', patch: { 148: '0000000\0' } }],
  'a mode that is not octal': [{ path: 'x', patch: { 100: '0000899\0' } }],
  'an entry of unknown type': [{ path: 'x', flag: 'V' }],
  'a sparse map whose parts overlap': [
    sparse01('0,512,256,512', { size: 4096, content: Buffer.alloc(1024, 1) }),
  ],
  'a sparse map that leads past its file': [
    sparse01('0,512,8192,512', { size: 4096, content: Buffer.alloc(1024, 1) }),
  ],
  'a sparse map whose numbers overflow': [
    sparse01('9007199254740991,9007199254740991', { size: 4096, content: Buffer.alloc(1024, 1) }),
  ],
  'a sparse map of negative numbers': [sparse01('-512,1024', { size: 4096, content: Buffer.alloc(1024, 1) })],
  'a sparse map with less data than there is': [
    sparse01('0,512', { size: 4096, content: Buffer.alloc(1024, 1) }),
  ],
  'a sparse map with more data than there is': [
    sparse01('0,2048', { size: 4096, content: Buffer.alloc(1024, 1) }),
  ],
  'a sparse map of version 1.0 with a negative count': [sparse10('-1\n0\n512\n')],
  'a sparse map of version 1.0 in a file too short for it': [
    { ...sparse10('1\n0\n10\n'), content: '1\n0\n10\n' },
  ],
  'a sparse map of version 1.0 without end': [sparse10(`999999999\n${'1\n'.repeat(500_000)}`)],
  'an old sparse map without end': [oldSparse({ extensions: 60_000 })],
};

describe('is refused', () => {
  it.each(Object.entries(refused))('%s', (_title, entries) => {
    const startedMs = performance.now();
    expect(() => read(tar(...entries))).toThrow(expect.objectContaining({ code: 'IMGBOOT_BAD_TAR' }));
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });
});

function sparse01(map: string, { size, content }: { size: number; content: Buffer }): EntrySpec {
  return {
    path: 'x',
    content,
    pax: { 'GNU.sparse.size': String(size), 'GNU.sparse.numblocks': '2', 'GNU.sparse.map': map },
  };
}

function sparse10(map: string): EntrySpec {
  return {
    path: 'x',
    content: Buffer.concat([padded(map), Buffer.alloc(512, 1)]),
    pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1048576' },
  };
}

/** Extension blocks full of empty runs, each saying that another follows. */
function oldSparse({ extensions }: { extensions: number }): Buffer {
  const run = '00000000000\0'.repeat(2);
  const block = Buffer.alloc(512);
  block.write(run.repeat(21), 0, 'latin1');
  block[504] = 1;
  const header = tarWithoutEnd({
    path: 'x',
    flag: 'S',
    patch: { 257: 'ustar  \0', 386: run.repeat(4), 482: '\x01', 483: '00000001000\0' },
  });
  return Buffer.concat([header, ...Array.from({ length: extensions }, () => block)]);
}
