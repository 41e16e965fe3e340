import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree } from '../../test/support/file-tree.ts';
import { catMember } from './cat-member.ts';
import { explainInitramfs } from './explain.ts';
import { memberTree } from './member-tree.ts';
import { encodeNewcHeader, S_IFDIR, S_IFLNK, S_IFREG } from './newc.ts';
import { readInitramfs } from './read-initramfs.ts';
import { unpackInitramfs } from './unpack-initramfs.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;
const fresh = (): string => path.join(directory, String(count++));

/** An archive of such names and contents as no tool would write. */
function archive(...members: [name: string, mode: number, content?: string][]): string {
  const parts = members.map(([name, mode, content = ''], index) => {
    const body = Buffer.from(content);
    const header = encodeNewcHeader({
      name,
      ino: index + 1,
      mode,
      nlink: 1,
      mtimeSeconds: 86_400,
      sizeBytes: body.length,
    });
    return Buffer.concat([header, body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
  });
  const file = fresh();
  writeFileSync(file, Buffer.concat(parts));
  return file;
}

/** What GNU cpio makes of a tree, behind an early archive. */
function realInitramfs(): { file: string; tree: string } {
  const tree = fresh();
  writeTree(tree, {
    init: '#!/bin/sh\n',
    bin: '-> usr/bin',
    'usr/bin/busybox': 'x'.repeat(70_000),
    'usr/bin/grün "quoted"\nnewline': 'odd',
    empty: '',
  });
  linkSync(path.join(tree, 'usr/bin/busybox'), path.join(tree, 'usr/bin/sh'));
  execFileSync('chmod', ['4751', path.join(tree, 'usr/bin/busybox')]);
  execFileSync('chmod', ['500', path.join(tree, 'usr/bin')]);
  const names = execFileSync('find', ['.', '-mindepth', '1', '-print0'], { cwd: tree });
  const main = execFileSync('cpio', ['-o', '-0', '-H', 'newc', '--quiet'], { cwd: tree, input: names });
  const early = fresh();
  writeTree(early, { 'kernel/x86/microcode/GenuineIntel.bin': 'microcode' });
  const earlyNames = execFileSync('find', ['kernel'], { cwd: early });
  const first = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: early, input: earlyNames });
  const file = fresh();
  writeFileSync(file, Buffer.concat([first, gzipSync(main)]));
  return { file, tree };
}

function listing(tree: string): string[] {
  const names = readdirSync(tree, { recursive: true }) as string[];
  return names.sort().map((name) => {
    const stat = lstatSync(path.join(tree, name));
    const target = stat.isSymbolicLink() ? readlinkSync(path.join(tree, name)) : '';
    const size = stat.isDirectory() ? 0 : stat.size;
    return [name, stat.mode.toString(8), size, stat.nlink, Math.floor(stat.mtimeMs / 1000), target].join(' ');
  });
}

describe('unpackInitramfs', () => {
  it('makes the files that went in: modes, times, links of both kinds, odd names', async () => {
    const { file, tree } = realInitramfs();
    const out = fresh();
    expect(await unpackInitramfs(file, out)).toEqual([]);
    expect(readFileSync(path.join(out, 'kernel/x86/microcode/GenuineIntel.bin'), 'utf8')).toBe('microcode');
    rmSync(path.join(out, 'kernel'), { recursive: true });
    expect(listing(out)).toEqual(listing(tree));
    expect(readFileSync(path.join(out, 'usr/bin/sh')).equals(Buffer.alloc(70_000, 'x'))).toBe(true);
  });

  it('follows links of the archive inside the directory only', async () => {
    const outside = fresh();
    mkdirSync(outside);
    const out = fresh();
    await unpackInitramfs(
      archive(
        ['absolute', S_IFLNK | 0o777, outside],
        ['upward', S_IFLNK | 0o777, '../../../../../../..'],
        ['absolute/file', S_IFREG | 0o644, 'inside'],
        [`upward${outside}/other`, S_IFREG | 0o644, 'inside'],
        ['leaf', S_IFLNK | 0o777, `${outside}/leaf`],
        ['leaf', S_IFREG | 0o644, 'a file now'],
      ),
      out,
    );
    expect(readdirSync(outside)).toEqual([]);
    expect(readFileSync(path.join(out, outside, 'file'), 'utf8')).toBe('inside');
    expect(readFileSync(path.join(out, outside, 'other'), 'utf8')).toBe('inside');
    expect(readFileSync(path.join(out, 'leaf'), 'utf8')).toBe('a file now');
  });

  it.each([
    ['..', archive(['../escaped', S_IFREG | 0o644, 'x'])],
    ['.. inside', archive(['a/../../escaped', S_IFREG | 0o644, 'x'])],
    [
      'a loop of links',
      archive(['a', S_IFLNK | 0o777, 'b'], ['b', S_IFLNK | 0o777, 'a'], ['a/escaped', S_IFREG | 0o644, 'x']),
    ],
  ])('refuses names with %s', async (_, file) => {
    const out = fresh();
    await expect(unpackInitramfs(file, out)).rejects.toMatchObject({ code: 'IMGBOOT_UNSAFE_NAME' });
    expect(existsSync(path.join(directory, 'escaped'))).toBe(false);
  });

  it('gives the later of two members with one name, of whatever kind', async () => {
    const out = fresh();
    await unpackInitramfs(
      archive(
        ['/a', S_IFREG | 0o644, 'first'],
        ['./a', S_IFREG | 0o600, 'second'],
        ['b', S_IFDIR | 0o755],
        ['b', S_IFREG | 0o644, 'file'],
      ),
      out,
    );
    expect(readFileSync(path.join(out, 'a'), 'utf8')).toBe('second');
    expect(readFileSync(path.join(out, 'b'), 'utf8')).toBe('file');
    expect(lstatSync(path.join(out, 'a')).mtimeMs).toBe(86_400_000);
  });

  it('wants a directory that is empty', async () => {
    const out = fresh();
    writeTree(out, { mine: 'mine' });
    await expect(unpackInitramfs(archive(['mine', S_IFREG | 0o644, 'x']), out)).rejects.toMatchObject({
      code: 'IMGBOOT_NOT_EMPTY',
    });
    expect(readFileSync(path.join(out, 'mine'), 'utf8')).toBe('mine');
  });
});

describe('catMember', () => {
  it('gives the bytes of a file, also of one with several names, however its path is written', async () => {
    const { file } = realInitramfs();
    expect((await catMember(file, '/init')).toString()).toBe('#!/bin/sh\n');
    expect((await catMember(file, 'kernel/x86/microcode/GenuineIntel.bin')).toString()).toBe('microcode');
    for (const name of ['usr/bin/sh', './usr/bin/busybox']) {
      expect((await catMember(file, name)).length).toBe(70_000);
    }
    expect(await catMember(file, 'empty')).toHaveLength(0);
  });

  it('gives the last of several', async () => {
    const file = archive(['a', S_IFREG | 0o644, 'first'], ['a', S_IFREG | 0o644, 'second']);
    expect((await catMember(file, 'a')).toString()).toBe('second');
  });

  it('says what is no file, or is not there', async () => {
    const { file } = realInitramfs();
    await expect(catMember(file, 'bin')).rejects.toMatchObject({
      code: 'IMGBOOT_NOT_A_FILE',
      message: 'bin is a link to usr/bin',
    });
    await expect(catMember(file, 'usr')).rejects.toMatchObject({ code: 'IMGBOOT_NOT_A_FILE' });
    await expect(catMember(file, 'nowhere')).rejects.toMatchObject({ code: 'IMGBOOT_NO_SUCH_MEMBER' });
  });
});

describe('memberTree', () => {
  it('draws the members as tree(1) does, with the bytes below each directory', async () => {
    const file = archive(
      ['bin', S_IFLNK | 0o777, 'usr/bin'],
      ['usr/bin/a', S_IFREG | 0o644, 'xxx'],
      ['usr/bin/a', S_IFREG | 0o644, 'xxxx'],
      ['usr/lib', S_IFDIR | 0o755],
    );
    const { members } = await readInitramfs(file);
    expect(memberTree(members, (bytes) => `${bytes} B`)).toEqual([
      '. (11 B)',
      '├── bin -> usr/bin',
      '└── usr (4 B)',
      '    ├── bin (4 B)',
      '    │   └── a (4 B)',
      '    └── lib',
    ]);
  });
});

describe('explainInitramfs', () => {
  it('tells the kinds of files where nobody wrote down why they are there', async () => {
    const file = archive(
      ['usr/lib/modules/6.1/kernel/drivers/gpu/drm/nouveau/nouveau.ko', S_IFREG | 0o644, 'x'.repeat(50)],
      ['usr/lib/modules/6.1/modules.dep', S_IFREG | 0o644, 'x'.repeat(4)],
      ['usr/lib/firmware/nvidia/a.bin', S_IFREG | 0o644, 'x'.repeat(99)],
      ['lib/x86_64-linux-gnu/libc.so.6', S_IFREG | 0o644, 'x'.repeat(9)],
      ['usr/bin/sh', S_IFREG | 0o755, 'x'.repeat(8)],
      ['init', S_IFREG | 0o755, 'x'],
    );
    expect((await explainInitramfs(file)).map(({ cause, sizeBytes }) => `${sizeBytes} ${cause}`)).toEqual([
      '99 firmware of nvidia/',
      '50 modules of kernel/drivers/gpu/',
      '9 libraries',
      '8 programs',
      '4 module index',
      '1 other files',
    ]);
  });
});
