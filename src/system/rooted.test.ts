import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeTree } from '../../test/support/file-tree.ts';
import { TemporaryDirectory } from '../../test/support/temporary-directory.ts';
import { RootedTree } from './rooted.ts';

describe('RootedTree', () => {
  let directory: TemporaryDirectory;
  let root: string;

  beforeAll(async () => {
    directory = await TemporaryDirectory.create();
    root = path.join(directory.path, 'root');
    writeTree(directory.path, {
      secret: 'outside',
      'root/secret': 'inside',
      'root/usr/lib/x': 'x',
      'root/usr/lib/deep/y': 'y',
      'root/lib': '-> usr/lib',
      'root/absolute': '-> /secret',
      'root/usr/up': '-> ../../../../secret',
      'root/out': `-> ${directory.path}/secret`,
      'root/etc/back': '-> ../lib/deep/../x',
      'root/loop-a': '-> loop-b',
      'root/loop-b': '-> loop-a',
      'root/dangling': '-> nowhere',
      'root/root': '-> /',
    });
  });
  afterAll(async () => await directory[Symbol.asyncDispose]());

  it.each([
    ['/usr/lib/x', '/usr/lib/x'],
    ['/lib/x', '/usr/lib/x'],
    ['//lib/./deep/../x', '/usr/lib/x'],
    ['/absolute', '/secret'],
    ['/usr/up', '/secret'],
    ['/../../secret', '/secret'],
    ['/etc/back', '/usr/lib/x'],
    ['/root/root/root/lib/x', '/usr/lib/x'],
    ['/lib/', '/usr/lib'],
    ['/', ''],
    ['/..', ''],
    ['/lib/x/', undefined],
    ['/lib/x/..', undefined],
    ['/loop-a', undefined],
    ['/dangling', undefined],
    ['/out', undefined],
    ['/no/such', undefined],
    [`/${'x'.repeat(300)}/y`, undefined],
  ])('%s resolves to %s', (name, expected) => {
    expect(new RootedTree(root).resolve(name)?.path).toBe(expected);
  });

  it.skipIf(process.getuid?.() !== 0 || !existsSync('/bin/busybox'))(
    'agrees with chroot about every path',
    () => {
      const tree = new RootedTree(root);
      execFileSync('cp', ['/bin/busybox', path.join(root, 'busybox')]);
      for (const name of [
        '/absolute',
        '/usr/up',
        '/etc/back',
        '/root/lib/x',
        '/../secret',
        '/lib/deep/../x',
      ]) {
        const content = execFileSync('chroot', [root, '/busybox', 'cat', name], { encoding: 'utf8' });
        expect(tree.readFile(name)?.toString()).toBe(content);
      }
    },
  );

  it('locates a link without following it', () => {
    expect(new RootedTree(root).locate('/lib')?.kind).toBe('symlink');
    expect(new RootedTree(root).locate('/lib/deep')?.kind).toBe('directory');
  });

  it('lists names in byte order, and none of what is no directory', () => {
    const tree = new RootedTree(root);
    expect(tree.list('/lib')).toEqual(['deep', 'x']);
    expect(tree.list('/secret')).toEqual([]);
    expect(tree.list('/no/such')).toEqual([]);
  });

  it('reads a file that begins at its start only as far as asked', () => {
    const tree = new RootedTree(root);
    expect(tree.read(tree.resolve('/secret')!, 2).toString()).toBe('in');
  });

  it('takes a fifo for no file, and does not wait for it', () => {
    mkdirSync(path.join(root, 'dev'), { recursive: true });
    execFileSync('mkfifo', [path.join(root, 'dev/fifo')]);
    const tree = new RootedTree(root);
    expect(tree.readFile('/dev/fifo')).toBeUndefined();
    expect(() => tree.read({ ...tree.resolve('/dev/fifo')!, kind: 'file' })).toThrow('not a regular file');
  });

  it('refuses a root that is no directory', () => {
    expect(() => new RootedTree(path.join(root, 'secret'))).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_NO_SUCH_ROOT' }),
    );
    expect(() => new RootedTree(path.join(root, 'nowhere'))).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_NO_SUCH_ROOT' }),
    );
  });
});
