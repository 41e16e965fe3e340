import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { encodeNewcHeader, S_IFREG, type NewcHeader } from './newc.ts';

const member: NewcHeader = {
  name: 'name',
  ino: 1,
  mode: S_IFREG | 0o640,
  nlink: 1,
  mtimeSeconds: 0,
  sizeBytes: 0,
};
const end = encodeNewcHeader({ ...member, name: 'TRAILER!!!', ino: 0, mode: 0 });

function cpioListing(archive: Buffer): string {
  const options = { input: archive, env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' } };
  return execFileSync('cpio', ['-tv', '--quiet', '--numeric-uid-gid'], options).toString().trimEnd();
}

describe('encodeNewcHeader', () => {
  it.each(['x', 'ab', 'abc', 'abcd', 'grün/ß', '日本語', 'a name with spaces'])(
    'counts the name %s in bytes, as GNU cpio reads it',
    (name) => {
      const listing = cpioListing(Buffer.concat([encodeNewcHeader({ ...member, name }), end]));
      expect(listing).toBe(`-rw-r-----   1 0        0               0 Jan  1  1970 ${name}`);
    },
  );

  it('is a multiple of four bytes long whatever the name', () => {
    const lengths = Array.from({ length: 9 }, (_, n) =>
      encodeNewcHeader({ ...member, name: 'x'.repeat(n + 1) }),
    );
    expect(lengths.map((header) => header.length % 4)).toEqual(lengths.map(() => 0));
  });

  it('keeps a time of zero', () => {
    expect(encodeNewcHeader(member).toString('latin1', 46, 54)).toBe('00000000');
  });

  it('writes sizes up to four gigabytes, and refuses more', () => {
    expect(encodeNewcHeader({ ...member, sizeBytes: 0xffff_ffff }).toString('latin1', 54, 62)).toBe(
      'FFFFFFFF',
    );
    expect(() => encodeNewcHeader({ ...member, sizeBytes: 2 ** 32 })).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_ARCHIVE_LIMIT' }),
    );
  });
});
