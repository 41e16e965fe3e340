import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { elfProgram } from '../../test/support/elf-program.ts';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
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

describe('a program of a made-up system', () => {
  const lib = '/usr/lib/x86_64-linux-gnu';
  let count = 0;

  function closureOf(files: FileTree): { paths: string[]; warnings: string[] } {
    const root = path.join(directory, `made-up-${count++}`);
    writeTree(root, files);
    const tree = new RootedTree(root);
    const closure = new LibraryClosure(tree);
    const paths = closure.of(tree.resolveFile('/usr/bin/program')!).map((file) => file.path);
    return { paths, warnings: closure.warnings };
  }

  it('finds its libraries by RPATH, RUNPATH and $ORIGIN, each as ld.so does', () => {
    const { paths } = closureOf({
      'usr/bin/program': elfProgram({ needed: ['liba.so'], runpath: '$ORIGIN/../private:/nowhere' }),
      'usr/private/liba.so': elfProgram({ needed: ['libb.so'], rpath: '${ORIGIN}/deep' }),
      'usr/private/deep/libb.so': elfProgram({ needed: ['libc-own.so'] }),
      // An RPATH holds for what its libraries need; a RUNPATH does not.
      'usr/private/deep/libc-own.so': elfProgram(),
      'usr/lib/libb.so': elfProgram(),
    });
    expect(paths).toEqual([
      '/usr/bin/../private/liba.so',
      '/usr/private/deep/libb.so',
      '/usr/private/deep/libc-own.so',
    ]);
  });

  it('passes over a library of another machine', () => {
    const other = elfProgram();
    other.writeUInt16LE(183, 18);
    const { paths } = closureOf({
      'usr/bin/program': elfProgram({ needed: ['liba.so'], runpath: '/opt' }),
      'opt/liba.so': other,
      [`${lib}/liba.so`.slice(1)]: elfProgram(),
    });
    expect(paths).toEqual([`${lib}/liba.so`]);
  });

  it('brings what it opens by itself: required and recommended, the first of several, with their needs', () => {
    const { paths, warnings } = closureOf({
      'usr/bin/program': elfProgram({
        opened: [
          {
            feature: 'a',
            priority: 'recommended',
            soname: ['libnone.so.2', 'libopened.so.1', 'libold.so.0'],
          },
          { feature: 'b', priority: 'suggested', soname: ['libsuggested.so'] },
          { feature: 'c', priority: 'recommended', soname: ['libabsent.so'] },
          { feature: 'd', priority: 'required', soname: ['libmust.so.1', 'libmust.so.0'] },
          { feature: 'e', soname: ['libplain.so'] },
          { feature: 'no library' },
        ],
      }),
      'usr/lib/libopened.so.1': elfProgram({ needed: ['libneeded.so'] }),
      'usr/lib/libneeded.so': elfProgram(),
      'usr/lib/libold.so.0': elfProgram(),
      'usr/lib/libsuggested.so': elfProgram(),
      'usr/lib/libplain.so': elfProgram(),
    });
    expect(paths.map((name) => path.basename(name))).toEqual([
      'libopened.so.1',
      'libplain.so',
      'libneeded.so',
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^\/usr\/bin\/program opens libmust\.so\.1 or libmust\.so\.0, which is nowhere in /,
      ),
    ]);
  });

  it.each([
    ['the program', 'usr/bin/program', '/usr/bin/program'],
    ['a library', 'usr/lib/liba.so', '/usr/lib/liba.so'],
  ])('names %s that is cut off', (_, file, named) => {
    const files: FileTree = {
      'usr/bin/program': elfProgram({ needed: ['liba.so'] }),
      'usr/lib/liba.so': elfProgram({ needed: ['libb.so'] }),
    };
    files[file] = (files[file] as Buffer).subarray(0, 150);
    expect(() => closureOf(files)).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_ELF', message: `${named}: it is cut off` }),
    );
  });
});

function libraryNamed(name: string): string {
  const tree = new RootedTree('/');
  const files = libraryClosure(tree, [tree.resolveFile('/bin/ls')!]);
  return files.find(({ path }) => path.endsWith(`/${name}`))!.path;
}
