import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { TemporaryDirectory } from '../../test/support/temporary-directory.ts';
import { RootedTree } from '../system/rooted.ts';
import { ownersOf, readPackages } from './read-packages.ts';

let directory: TemporaryDirectory;
let root: string;

beforeEach(async () => {
  directory = await TemporaryDirectory.create();
  root = path.join(directory.path, 'root');
  mkdirSync(root);
});
afterEach(async () => await directory[Symbol.asyncDispose]());

async function packages(): Promise<string[]> {
  const { answer, unread } = await readPackages(new RootedTree(root));
  expect(unread).toEqual([]);
  return answer.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
}

async function owners(...paths: string[]): Promise<Record<string, string>> {
  const { answer } = await ownersOf(new RootedTree(root), paths);
  return Object.fromEntries(
    [...answer].map(([asked, found]) => [asked, found.map(({ name }) => name).join(' ')]),
  );
}

const status = (name: string, state: string, more = ''): string =>
  `Package: ${name}\nStatus: ${state}\nArchitecture: amd64\n${more}Version: 1:2.0-3\nDescription: of ${name}\n Package: not this\n\n`;

const debian: FileTree = {
  'usr/bin/x': '',
  bin: '-> usr/bin',
  'usr/lib/deep/y': '',
  lib: '-> usr/lib',
  'var/lib/dpkg/status': [
    status('sed', 'install ok installed'),
    status('half', 'install reinstreq half-configured'),
    status('gone', 'deinstall ok config-files'),
    status('wanted', 'install ok not-installed'),
    status('libc6', 'install ok installed', 'Multi-Arch: same\n'),
    status('wrapper', 'install ok installed'),
  ].join(''),
  'var/lib/dpkg/info/sed.list': '/.\n/bin\n/bin/sed\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/my file\n',
  'var/lib/dpkg/info/half.list': '/.\n/lib/deep\n/lib/deep/y\n/usr/share\n/usr/bin/tool\n',
  'var/lib/dpkg/info/gone.list': '/etc/gone.conf\n',
  'var/lib/dpkg/info/libc6:amd64.list': '/usr/lib/libc.so.6\n/lib64\n/usr/bin/local\n',
  'var/lib/dpkg/info/wrapper.list': '/usr/bin/tool\n',
  'var/lib/dpkg/diversions':
    '/usr/bin/tool\n/usr/bin/tool.real\nwrapper\n/usr/bin/local\n/usr/bin/local.aside\n:\n',
};

describe('the packages of a root file system', () => {
  it('are those of dpkg that have files there', async () => {
    writeTree(root, debian);
    expect(await packages()).toEqual([
      'half 1:2.0-3 amd64',
      'libc6 1:2.0-3 amd64',
      'sed 1:2.0-3 amd64',
      'wrapper 1:2.0-3 amd64',
    ]);
  });

  it('are those of a distroless image', async () => {
    writeTree(root, {
      'var/lib/dpkg/status.d/base': 'Package: base-files\nVersion: 12.4\nArchitecture: amd64\n',
      'var/lib/dpkg/status.d/base.md5sums': `${'0'.repeat(32)}  usr/share/base\n${'1'.repeat(32)} *etc/host.conf\n`,
    });
    expect(await packages()).toEqual(['base-files 12.4 amd64']);
    expect(await owners('/usr/share/base', '/etc/host.conf', '/etc/passwd')).toEqual({
      '/usr/share/base': 'base-files',
      '/etc/host.conf': 'base-files',
      '/etc/passwd': '',
    });
  });

  it.each(['lib/apk/db', 'usr/lib/apk/db'])('are those of apk in %s', async (place) => {
    writeTree(root, {
      [`${place}/installed`]: [
        'C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nT:the musl c library\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=',
        'P:busybox\nV:1.36.1-r29\nA:x86_64\nF:\nR:top\nF:bin\nM:0:0:755\nR:busybox\nF:etc/network/if-up.d\nR:dad',
        '',
      ].join('\n\n'),
    });
    expect(await packages()).toEqual(['busybox 1.36.1-r29 x86_64', 'musl 1.2.5-r0 x86_64']);
    expect(
      await owners('/lib/ld-musl-x86_64.so.1', '/bin/busybox', '/etc/network/if-up.d', '/top', '/bin/sh'),
    ).toEqual({
      '/lib/ld-musl-x86_64.so.1': 'musl',
      '/bin/busybox': 'busybox',
      '/etc/network/if-up.d': 'busybox',
      '/top': 'busybox',
      '/bin/sh': '',
    });
  });

  it('are counted once where apk has two names for its database', async () => {
    writeTree(root, { 'usr/lib/apk/db/installed': 'P:musl\nV:1\nA:x86_64\n', lib: '-> usr/lib' });
    expect(await packages()).toEqual(['musl 1 x86_64']);
  });

  it('are those of pacman', async () => {
    const local = 'var/lib/pacman/local';
    writeTree(root, {
      [`${local}/ALPM_DB_VERSION`]: '9\n',
      [`${local}/bash-5.2.037-1/desc`]:
        '%NAME%\nbash\n\n%VERSION%\n5.2.037-1\n\n%BASE%\nbash\n\n%ARCH%\nx86_64\n\n',
      [`${local}/bash-5.2.037-1/files`]:
        '%FILES%\nusr/\nusr/bin/\nusr/bin/bash\n\n%BACKUP%\netc/bash.bashrc\tdeadbeef\n',
      [`${local}/half-made/files`]: '%FILES%\nusr/bin/half\n',
      bin: '-> usr/bin',
      'usr/bin/bash': '',
    });
    expect(await packages()).toEqual(['bash 5.2.037-1 x86_64']);
    expect(await owners('/bin/bash', '/usr/bin', '/usr/bin/half', '/etc/bash.bashrc')).toEqual({
      '/bin/bash': 'bash',
      '/usr/bin': 'bash',
      '/usr/bin/half': '',
      '/etc/bash.bashrc': '',
    });
  });

  it('are none where there is no database', async () => {
    expect(await packages()).toEqual([]);
    expect(await owners('/etc/passwd')).toEqual({ '/etc/passwd': '' });
  });

  it('are not read through a link that leads out', async () => {
    writeTree(directory.path, { 'secret/status': status('outside', 'install ok installed') });
    writeTree(root, { 'var/lib/dpkg': `-> ${directory.path}/secret` });
    expect(await packages()).toEqual([]);
  });

  it('are not those of a list beside the database', async () => {
    writeTree(root, {
      'etc/secret.list': '/etc/hidden\n',
      'var/lib/dpkg/info/other.list': '',
      'var/lib/dpkg/status': status('../../../../etc/secret', 'install ok installed'),
    });
    expect(await owners('/etc/hidden')).toEqual({ '/etc/hidden': '' });
  });

  it('are unread where the list is larger than any can be, and are told of', async () => {
    writeTree(root, { 'var/lib/dpkg/status': '' });
    truncateSync(path.join(root, 'var/lib/dpkg/status'), 2 ** 30);
    const { answer, unread } = await readPackages(new RootedTree(root));
    expect(answer).toEqual([]);
    expect(unread.map(({ message }) => message)).toEqual([
      `/var/lib/dpkg/status of ${root} has 1073741824 bytes: too many for a list of packages`,
    ]);
  });

  it('of rpm are unread where rpm cannot read them, and are told of', async () => {
    writeTree(root, { 'usr/lib/sysimage/rpm/rpmdb.sqlite': 'not a database' });
    const { answer, unread } = await readPackages(new RootedTree(root));
    expect(answer).toEqual([]);
    expect(unread.map(({ code }) => code)).toEqual(['IMGBOOT_PACKAGES_UNREADABLE']);
    expect(unread[0]!.message).toContain('/usr/lib/sysimage/rpm, which rpm reads');
  });
});

describe('the owner of a path', () => {
  it.each([
    ['/bin/sed', 'sed'],
    ['/usr/bin/sed', 'sed'],
    ['usr/bin/sed', 'sed'],
    ['/usr/lib/deep/y', 'half'],
    ['/lib/deep/y', 'half'],
    ['/lib/deep/', 'half'],
    ['/usr/share', 'half sed'],
    ['/usr/share/my file', 'sed'],
    ['/usr/share/my', ''],
    ['/usr/lib/libc.so.6', 'libc6'],
    ['/lib/libc.so.6', 'libc6'],
    // Only its configuration is left.
    ['/etc/gone.conf', ''],
    // Pushed aside by a package, and by the machine's owner.
    ['/usr/bin/tool', 'wrapper'],
    ['/bin/tool.real', 'half'],
    ['/usr/bin/local', ''],
    ['/usr/bin/local.aside', 'libc6'],
    ['/usr/bin/none', ''],
    // A link is owned itself, not what it names.
    ['/bin', 'sed'],
    ['/', ''],
  ])('%s is %j', async (asked, expected) => {
    writeTree(root, debian);
    expect(await owners(asked)).toEqual({ [asked]: expected });
  });

  it('is found for many paths at once', async () => {
    writeTree(root, debian);
    const many = Array.from({ length: 40 }, (_, number) => `/usr/none/${number}`);
    const found = await owners('/usr/bin/sed', '/bin/sed', ...many);
    expect(found['/usr/bin/sed']).toBe('sed');
    expect(found['/bin/sed']).toBe('sed');
    expect(Object.values(found).filter((owner) => owner !== '')).toHaveLength(2);
  });

  it('is found for names that are no text', async () => {
    writeTree(root, debian);
    const list = path.join(root, 'var/lib/dpkg/info/sed.list');
    writeFileSync(list, Buffer.from('/usr/share/caf\xe9\n', 'latin1'));
    expect(await owners('/usr/share/caf\xe9')).toEqual({ '/usr/share/caf\xe9': 'sed' });
  });
});
