import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree } from '../../test/support/file-tree.ts';
import { RootedTree } from '../system/rooted.ts';
import { LibraryClosure, type LibraryFile } from './library-closure.ts';
import type { RootedEntry } from '../system/rooted.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

function libraryClosure(tree: RootedTree, programs: readonly RootedEntry[]): LibraryFile[] {
  const closure = new LibraryClosure(tree);
  return programs.flatMap((program) => closure.of(program));
}

/** The files that the dynamic linker itself names for a program of this machine. */
function lddFiles(program: string): string[] {
  const output = execFileSync('ldd', [program], { encoding: 'utf8' });
  const files = output.split('\n').flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  return [...new Set(files.map((file) => realpathSync(file)))].sort();
}

describe('libraryClosure', () => {
  it.each(['/bin/ls', '/bin/tar', '/bin/bash', '/usr/bin/env'])('finds for %s what ldd finds', (program) => {
    const tree = new RootedTree('/');
    const files = libraryClosure(tree, [tree.resolveFile(program)!]);
    expect([...new Set(files.map(({ entry }) => entry.path))].sort()).toEqual(lddFiles(program));
  });

  it('gives a library of a configured directory a name beside the C library', () => {
    const root = path.join(directory, 'configured');
    const host = new RootedTree('/');
    const program = host.resolveFile('/bin/ls')!;
    const files = libraryClosure(host, [program]).map(({ path, entry }) => [path, readFileSync(entry.path)]);
    writeTree(root, { ...Object.fromEntries(files), 'bin/ls': readFileSync('/bin/ls') });
    const selinux = host.resolveFile(libraryNamed('libselinux.so.1'))!.path;
    rmSync(path.join(root, libraryNamed('libselinux.so.1')));
    writeTree(root, {
      'opt/odd/libselinux.so.1': readFileSync(selinux),
      'etc/ld.so.conf': 'include /etc/ld.so.conf.d/*.conf\n',
      'etc/ld.so.conf.d/odd.conf': '# a comment\n/opt/odd\n',
    });
    const tree = new RootedTree(root);
    const found = libraryClosure(tree, [tree.resolveFile('/bin/ls')!]).filter(({ path }) =>
      path.endsWith('/libselinux.so.1'),
    );
    const libc = libraryNamed('libc.so.6');
    expect(found.map(({ path }) => path)).toEqual([
      '/opt/odd/libselinux.so.1',
      `${path.dirname(libc)}/libselinux.so.1`,
    ]);
  });

  it('names the library that is nowhere, and who needs it', () => {
    const root = path.join(directory, 'lacking');
    writeTree(root, { 'bin/ls': readFileSync('/bin/ls') });
    const tree = new RootedTree(root);
    expect(() => libraryClosure(tree, [tree.resolveFile('/bin/ls')!])).toThrow(
      expect.objectContaining({
        code: 'IMGBOOT_MISSING_LIBRARY',
        message: expect.stringMatching(/^\/bin\/ls needs lib\S+, which is nowhere in /),
      }),
    );
  });
});

function libraryNamed(name: string): string {
  const tree = new RootedTree('/');
  const files = libraryClosure(tree, [tree.resolveFile('/bin/ls')!]);
  return files.find(({ path }) => path.endsWith(`/${name}`))!.path;
}
