import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { memberLine, printable } from './member-line.ts';
import { readInitramfs } from './read-initramfs.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;

/** An archive that GNU cpio made of some files. */
function cpioOf(files: FileTree): Buffer {
  const root = path.join(directory, `tree-${count++}`);
  writeTree(root, files);
  const names = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P\\n'], { cwd: root });
  return execFileSync('cpio', ['-o', '-H', 'newc', '--quiet', '-R', '0:0'], { cwd: root, input: names });
}

async function namesIn(bytes: Buffer): Promise<string[]> {
  const file = path.join(directory, 'initrd.img');
  writeFileSync(file, bytes);
  const listing = await readInitramfs(file);
  return listing.members.map(({ name }) => name).sort();
}

const early = cpioOf({ 'kernel/x86/microcode/Intel.bin': 'microcode' });
const main = cpioOf({ init: '#!/bin/sh\n', 'bin/sh': '-> busybox', 'bin/busybox': 'x'.repeat(5000) });
const earlyNames = ['kernel', 'kernel/x86', 'kernel/x86/microcode', 'kernel/x86/microcode/Intel.bin'];
const mainNames = ['bin', 'bin/busybox', 'bin/sh', 'init'];
const padding = Buffer.alloc(1024);
const xz = (bytes: Buffer, ...flags: string[]): Buffer =>
  execFileSync('xz', ['-c', '--check=crc32', ...flags], { input: bytes });
const lz4 = (bytes: Buffer): Buffer => execFileSync('lz4', ['-l', '-c', '-q'], { input: bytes });
const half = Math.ceil(zstdCompressSync(main).length / 2);

describe('readInitramfs', () => {
  it.each([
    ['plain', main, mainNames],
    ['zstd', zstdCompressSync(main), mainNames],
    ['gzip', gzipSync(main), mainNames],
    ['xz', execFileSync('xz', ['-c', '--check=crc32'], { input: main }), mainNames],
    ['bzip2', execFileSync('bzip2', ['-c'], { input: main }), mainNames],
    ['lzma', execFileSync('xz', ['-c', '--format=lzma'], { input: main }), mainNames],
    ['lz4 as the kernel reads it', lz4(main), mainNames],
    [
      'two lz4 ones, zeros and a plain one',
      Buffer.concat([lz4(main), lz4(main), padding, early]),
      [...mainNames, ...mainNames, ...earlyNames].sort(),
    ],
    [
      'two xz ones, zeros and a gzip one',
      Buffer.concat([xz(main), xz(main, '--block-size=4096'), padding, gzipSync(early)]),
      [...mainNames, ...mainNames, ...earlyNames].sort(),
    ],
    ['early and zstd', Buffer.concat([early, zstdCompressSync(main)]), [...mainNames, ...earlyNames].sort()],
    [
      'early, padding and gzip',
      Buffer.concat([early, padding, gzipSync(main), padding]),
      [...mainNames, ...earlyNames].sort(),
    ],
    [
      'gzip and zstd',
      Buffer.concat([gzipSync(main), zstdCompressSync(early)]),
      [...mainNames, ...earlyNames].sort(),
    ],
    ['two plain ones', Buffer.concat([main, early]), [...mainNames, ...earlyNames].sort()],
    ['zstd and plain', Buffer.concat([zstdCompressSync(main), early]), [...mainNames, ...earlyNames].sort()],
  ])('lists every member of %s', async (_, bytes, expected) => {
    expect(await namesIn(bytes)).toEqual(expected);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(4096)],
    ['text', Buffer.from('hello, world')],
    ['a header that is no hex', Buffer.from(`070701${'z'.repeat(104)}`)],
    ['an old cpio', execFileSync('cpio', ['-o', '--quiet', '-H', 'odc'], { cwd: '/', input: 'etc\n' })],
    ['a plain one cut in a header', main.subarray(0, 50)],
    ['a plain one cut in a file', main.subarray(0, 3000)],
    ['a zstd one cut off', zstdCompressSync(main).subarray(0, half)],
    ['a gzip one cut off', gzipSync(main).subarray(0, half)],
    ['an xz one cut off', xz(main).subarray(0, 200)],
    ['an lz4 one cut off', lz4(main).subarray(0, 200)],
    ['a zstd one of something else', zstdCompressSync(Buffer.from('hello'))],
    ['a gzip one that is damaged', gzipSync(main).fill(0xff, 60, 90)],
    ['an xz one that is damaged', execFileSync('xz', ['-c'], { input: main }).fill(0xff, 60, 90)],
  ])('refuses %s', async (_, bytes) => {
    await expect(namesIn(bytes)).rejects.toMatchObject({ code: 'IMGBOOT_BAD_INITRAMFS' });
  });

  it('says that there is no such file', async () => {
    await expect(readInitramfs(path.join(directory, 'nowhere'))).rejects.toMatchObject({
      code: 'IMGBOOT_CANNOT_READ',
    });
  });
});

describe('memberLine', () => {
  it('is the line that cpio writes', async () => {
    const file = path.join(directory, 'lines.img');
    writeFileSync(file, main);
    const { members } = await readInitramfs(file);
    const expected = execFileSync('cpio', ['-tv', '--quiet'], { input: main }).toString().trimEnd();
    expect(members.map((member) => memberLine(member)).join('\n')).toBe(expected);
  });

  it('shows special modes, devices and other owners', () => {
    const member = { name: 'x', ino: 1, nlink: 1, mtimeSeconds: 0, sizeBytes: 0, target: undefined };
    const device = { major: 5, minor: 1 };
    const start = (mode: number): string =>
      memberLine({ ...member, mode, uid: 1, gid: 0, device }).slice(0, 41);
    expect(start(0o104755)).toBe('-rwsr-xr-x   1 1        root            0');
    expect(start(0o041777)).toBe('drwxrwxrwt   1 1        root            0');
    expect(start(0o020600)).toBe('crw-------   1 1        root       5,   1');
  });
});

describe('printable', () => {
  it('keeps a hostile name from the terminal', () => {
    expect(printable('a\u001b[2Jb\n\\c')).toBe('a\\033[2Jb\\n\\\\c');
    expect(printable('grün')).toBe('grün');
  });
});
