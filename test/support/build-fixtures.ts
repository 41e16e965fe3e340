import { chmodSync, chownSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { tar } from './tar-builder.ts';

const EPOCH = '@1700000000';

/** A tar of a small root file system: busybox, accounts, a usr-merged /lib, and something to change and delete. */
export async function makeBaseTar(directory: string): Promise<string> {
  const root = path.join(directory, 'base-root');
  const at = (name: string): string => path.join(root, name);
  const directories =
    'bin dev etc home/app opt/data/sub proc root run sys tmp usr/lib/old usr/bin var/cache var/log';
  for (const name of directories.split(' ')) mkdirSync(at(name), { recursive: true });
  const busybox = await findBusybox();
  copyFileSync(busybox, at('bin/busybox'));
  const { stdout } = await execa(busybox, ['--list']);
  for (const applet of stdout.split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', at(`bin/${applet}`));
  symlinkSync('usr/lib', at('lib'));
  symlinkSync('/opt/data', at('var/data'));
  chmodSync(at('tmp'), 0o1777);
  chmodSync(at('root'), 0o700);
  const files: Record<string, string> = {
    'etc/passwd':
      'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
    'etc/group': 'root:x:0:\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n',
    'etc/hostname': '',
    'etc/hosts': '',
    'etc/resolv.conf': '',
    'opt/data/one': 'one\n',
    'opt/data/sub/two': 'two\n',
    'opt/data/sub/three': 'three\n',
    'usr/lib/old/file': 'old\n',
    'var/log/a.log': 'log\n',
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(at(name), content);
  symlinkSync('one', at('opt/data/link'));
  chownSync(at('home/app'), 1000, 1000);
  const output = path.join(directory, 'base.tar');
  await execa('tar', ['-C', root, '--sort=name', `--mtime=${EPOCH}`, '--numeric-owner', '-cf', output, '.']);
  return output;
}

/** A build context with every kind of thing that a COPY can meet. */
export async function makeContext(directory: string): Promise<string> {
  const context = path.join(directory, 'context');
  const at = (name: string): string => path.join(context, name);
  for (const name of ['dir/sub', 'dir/empty', 'empty', 'deep/one/two', 'glob', 'with space'])
    mkdirSync(at(name), { recursive: true });
  const files: Record<string, string> = {
    a: 'a\n',
    'b.txt': 'b\n',
    'c.txt': 'c\n',
    exec: '#!/bin/sh\necho run\n',
    private: 'private\n',
    'dir/x': 'x\n',
    'dir/y.txt': 'y\n',
    'dir/.hidden': 'hidden\n',
    'dir/sub/z': 'z\n',
    'dir/sub/z.log': 'log\n',
    'deep/one/file': '1\n',
    'deep/one/two/file': '2\n',
    'glob/f1.log': '1\n',
    'glob/f2.log': '2\n',
    'glob/g.txt': 'g\n',
    'with space/the file': 'space\n',
    'plain.gz.txt': 'no archive\n',
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(at(name), content);
  for (const name of [
    '.',
    'dir',
    'dir/sub',
    'dir/empty',
    'empty',
    'deep',
    'deep/one',
    'deep/one/two',
    'glob',
  ])
    chmodSync(at(name), 0o755);
  chmodSync(at('exec'), 0o755);
  chmodSync(at('private'), 0o600);
  chmodSync(at('dir/empty'), 0o700);
  chmodSync(at('dir/x'), 0o640);
  symlinkSync('a', at('link'));
  symlinkSync('dir', at('dirlink'));
  symlinkSync('x', at('dir/inner'));
  symlinkSync('nowhere', at('dir/dangling'));
  await makeArchives(at);
  return context;
}

async function makeArchives(at: (name: string) => string): Promise<void> {
  writeFileSync(
    at('archive.tar'),
    tar(
      { path: 'top/', type: 'directory', mode: 0o750, uid: 5, gid: 6 },
      { path: 'top/file', content: 'from the archive\n', mode: 0o640, uid: 1000, gid: 1000 },
      { path: 'top/hard', type: 'hardlink', link: 'top/file', mode: 0o640, uid: 1000, gid: 1000 },
      { path: 'top/soft', type: 'symlink', link: 'file' },
      { path: 'top/set', content: 'setuid\n', mode: 0o4755 },
      { path: 'lib/added', content: 'through a link\n' },
      {
        path: 'ping',
        content: 'x',
        mode: 0o755,
        xattrs: { 'security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex') },
      },
    ),
  );
  for (const program of ['gzip', 'bzip2', 'xz']) await execa(program, ['-k', at('archive.tar')]);
  await execa('gzip', ['-k', at('plain.gz.txt')]);
}

async function findBusybox(): Promise<string> {
  const { stdout } = await execa('sh', ['-c', 'command -v busybox']);
  return stdout;
}
