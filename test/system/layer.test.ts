import { writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TreeDifference } from '../../src/layer/compare-trees.ts';
import { randomLayers } from '../support/random-layers.ts';
import { tar, type EntrySpec } from '../support/tar-builder.ts';
import { drivers, storeFilesystem, type StoreFilesystem } from '../support/test-store.ts';
import { umociUnpack } from '../support/umoci.ts';

/** One image's layers, bottom first, named by what they show. */
const cases: Record<string, EntrySpec[][]> = {
  'setuid, setgid and sticky modes, owners': [
    [
      { path: 'usr/bin/', type: 'directory', mode: 0o755 },
      { path: 'usr/bin/su', mode: 0o4755, uid: 12, gid: 34, content: 'su' },
      { path: 'usr/bin/wall', mode: 0o2755, gid: 5 },
      { path: 'tmp', type: 'directory', mode: 0o1777, uid: 70000, gid: 4_294_967_294 },
      { path: 'locked', mode: 0 },
    ],
    [{ path: 'usr/bin/su', mode: 0o6711, uid: 1, gid: 1, content: 'other' }],
  ],
  'times to the nanosecond, before 1970 and after 2038': [
    [
      { path: 'ns', mtime: '1600000000.123456789' },
      { path: 'old', mtime: '-5.25' },
      { path: 'new', mtime: '5000000000.000000001' },
      { path: 'link', type: 'symlink', link: 'ns', mtime: '1600000000.987654321' },
      { path: 'dir', type: 'directory', mtime: '1234567890.5' },
      { path: 'dir/file', content: 'x' },
    ],
    [{ path: 'dir/later', content: 'y' }],
  ],
  'extended attributes and file capabilities': [
    [
      {
        path: 'bin/ping',
        xattrs: { 'security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex') },
      },
      { path: 'bin/both', xattrs: { 'user.one': 'a', 'trusted.two': Buffer.from([0, 255, 10, 61]) } },
      { path: 'd', type: 'directory', xattrs: { 'user.dir': 'kept?', 'user.gone': '1' } },
      { path: 'link', type: 'symlink', link: 'nowhere', xattrs: { 'trusted.link': 'on the link itself' } },
    ],
    // A directory that is named again has the attributes that it is named with, and no others.
    [{ path: 'd', type: 'directory', xattrs: { 'user.dir': 'new' } }],
  ],
  'ACLs in binary, which files made below a default one do not inherit': [
    [
      {
        path: 'shared',
        type: 'directory',
        xattrs: {
          'system.posix_acl_access': acl([1, 7], [2, 5, 1000], [4, 5], [16, 7], [32, 5]),
          'system.posix_acl_default': acl([1, 7], [2, 7, 1000], [4, 5], [16, 7], [32, 0]),
        },
      },
      { path: 'shared/file', content: 'no ACL of its own' },
      { path: 'shared/dir', type: 'directory' },
      { path: 'shared/deep/er/file', content: 'x' },
    ],
    [
      { path: 'shared/later', content: 'x', mode: 0o640 },
      { path: 'shared/fifo', type: 'fifo' },
    ],
  ],
  'hard links within a layer': [
    [
      { path: 'a', content: 'one', uid: 3 },
      { path: 'b', type: 'hardlink', link: 'a' },
      { path: 'deep/c', type: 'hardlink', link: './a' },
      { path: 'deep/d', type: 'hardlink', link: '/deep/c' },
      { path: 'sym', type: 'symlink', link: 'a' },
      { path: 'symlinked', type: 'hardlink', link: 'sym' },
      { path: 'pipe', type: 'fifo' },
      { path: 'pipe2', type: 'hardlink', link: 'pipe' },
    ],
  ],
  'a hard link to a file of a lower layer': [
    [
      { path: 'usr/lib/a', content: 'lower', mtime: '1500000000.5' },
      { path: 'lib', type: 'symlink', link: 'usr/lib' },
    ],
    [
      { path: 'usr/lib/b', type: 'hardlink', link: 'usr/lib/a' },
      { path: 'lib/c', type: 'hardlink', link: 'lib/a' },
    ],
  ],
  'a hard link that takes the place of its target': [
    [{ path: 'before', content: 'x' }],
    [{ path: 'after', type: 'hardlink', link: 'before' }, { path: '.wh.before' }],
  ],
  'device nodes, fifos and symlinks': [
    [
      { path: 'dev/null', type: 'character', device: { major: 1, minor: 3 }, mode: 0o666 },
      { path: 'dev/big', type: 'block', device: { major: 259, minor: 70000 }, mode: 0o660, gid: 6 },
      { path: 'dev/initctl', type: 'fifo', mode: 0o600 },
      { path: 'abs', type: 'symlink', link: '/etc/passwd', uid: 5, gid: 6 },
      { path: 'up', type: 'symlink', link: '../../../../etc' },
      { path: 'loop', type: 'symlink', link: 'loop' },
      { path: 'long', type: 'symlink', link: `${'x'.repeat(200)}/${'y'.repeat(200)}` },
    ],
    [
      { path: 'dev/null', content: 'now a file' },
      { path: 'abs', content: 'now a file' },
      { path: 'dev/initctl', type: 'symlink', link: 'null' },
    ],
  ],
  'long names and many components': [
    [
      { path: `${'d'.repeat(200)}/${'f'.repeat(255)}`, content: 'x' },
      { path: `${'a/'.repeat(300)}file`, content: 'deep' },
      { path: 'n'.repeat(100), content: 'exactly 100' },
      { path: 'l', type: 'hardlink', link: `${'d'.repeat(200)}/${'f'.repeat(255)}` },
    ],
    [{ path: `${'a/'.repeat(300)}.wh.file` }],
  ],
  'names of any bytes': [
    [
      { path: 'caf\xe9', content: 'latin1' },
      { path: 'dir\xff\xfe/\x80', content: 'no UTF-8' },
      { path: 'new\nline', content: 'x' },
      { path: 'tab\tquote"back\\slash', content: 'x' },
      { path: ' space ', content: 'x' },
      { path: '-rf', content: 'x' },
      { path: '\xc3\xa9\xf0\x9f\x98\x80', content: 'UTF-8' },
      { path: 'sym\xff', type: 'symlink', link: 'caf\xe9\n' },
      { path: 'whitespace\xa0', content: 'x' },
    ],
    [{ path: 'dir\xff\xfe/.wh.\x80' }, { path: '.wh.new\nline' }],
  ],
  whiteouts: [
    [
      { path: 'gone', content: 'x' },
      { path: 'tree/a/b/c', content: 'x' },
      { path: 'tree/kept', content: 'x' },
      { path: 'wh/.whatever', content: 'no whiteout: the prefix has two dots' },
      { path: 'again', content: 'lower' },
      { path: 'dir/old', content: 'x' },
      { path: 'dirlink', type: 'symlink', link: 'tree' },
    ],
    [
      { path: '.wh.gone' },
      { path: 'tree/.wh.a' },
      { path: '.wh.missing' },
      { path: 'missing/dir/.wh.x' },
      { path: 'again', content: 'upper' },
      { path: '.wh.again' },
      { path: '.wh.dir' },
      { path: 'dir/new', content: 'x' },
      { path: '.wh.dirlink' },
    ],
    [
      { path: 'gone', content: 'back' },
      { path: 'tree/a', content: 'now a file' },
    ],
    [{ path: '.wh.tree' }],
    [{ path: 'tree/fresh', content: 'and nothing of before' }],
  ],
  'opaque directories, whether they come before or after what their layer puts in': [
    [
      { path: 'before/old/deep', content: 'x' },
      { path: 'after/old/deep', content: 'x' },
      { path: 'after/both', content: 'lower' },
      { path: 'after/tree/lower', content: 'x' },
      { path: 'twice/x', content: 'x' },
    ],
    [
      { path: 'before', type: 'directory', mode: 0o700 },
      { path: 'before/.wh..wh..opq' },
      { path: 'before/new', content: 'x' },
      { path: 'after/new', content: 'x' },
      { path: 'after/both', content: 'upper' },
      { path: 'after/tree/upper', content: 'x' },
      { path: 'after/.wh..wh..opq' },
      { path: 'nothing/.wh..wh..opq' },
    ],
    [
      { path: 'twice/.wh..wh..opq' },
      { path: 'twice/y', content: 'x' },
      { path: 'twice/.wh..wh..opq' },
      { path: 'after/tree/.wh.upper' },
    ],
  ],
  'files, directories and links in each other’s place': [
    [
      { path: 'file', content: 'x' },
      { path: 'dir/with/content', content: 'x' },
      { path: 'link', type: 'symlink', link: 'dir' },
      { path: 'link2', type: 'symlink', link: 'dir' },
      { path: 'dir2/x', content: 'x' },
    ],
    [
      { path: 'file', type: 'directory' },
      { path: 'file/now', content: 'a directory' },
      { path: 'dir', content: 'now a file' },
      { path: 'link', type: 'directory', mode: 0o711 },
      { path: 'link/in', content: 'x' },
      { path: 'link2', content: 'now a file' },
      { path: 'dir2', type: 'symlink', link: 'file' },
      { path: 'dir2/through', content: 'in file/' },
    ],
  ],
  'a file under a directory that is a symlink below': [
    [
      { path: 'usr/lib/old', content: 'x' },
      { path: 'lib', type: 'symlink', link: 'usr/lib' },
      { path: 'abs', type: 'symlink', link: '/usr/lib' },
      { path: 'up', type: 'symlink', link: '../../usr' },
      { path: 'usr/lib64', type: 'symlink', link: '../lib' },
    ],
    [
      { path: 'lib/x', content: 'in usr/lib' },
      { path: 'abs/y', content: 'in usr/lib' },
      { path: 'up/lib/z', content: 'in usr/lib' },
      { path: 'usr/lib64/new/w', content: 'in usr/lib/new' },
      { path: 'lib/.wh.old' },
    ],
  ],
  'a file under a symlink to where nothing is yet': [
    [
      { path: 'var/run', type: 'symlink', link: '/run' },
      { path: 'a', type: 'symlink', link: 'b' },
      { path: 'b', type: 'symlink', link: 'deep/er' },
    ],
    [
      { path: 'var/run/lock/file', content: 'in run/lock' },
      { path: 'a/file', content: 'in deep/er' },
    ],
  ],
  'names with dots and slashes': [
    [
      { path: './a/./b//c', content: 'x' },
      { path: '/abs/file', content: 'x' },
      { path: 'x/../y', content: 'x' },
      { path: './', type: 'directory', mode: 0o750, uid: 1, mtime: '1111111111' },
      { path: 'slash/', type: 'directory', mode: 0o711 },
    ],
  ],
  'empty layers': [[], [{ path: 'x', content: 'x' }], [], [{ path: '.wh.nothing' }]],
  'the same entry twice in a layer': [
    [
      { path: 'x', content: 'first, and longer', uid: 1, xattrs: { 'user.first': '1' } },
      { path: 'd', type: 'directory', mode: 0o700, xattrs: { 'user.first': '1' } },
      { path: 'x', content: 'second' },
      { path: 'd', type: 'directory', mode: 0o750 },
      { path: 's', type: 'symlink', link: 'd' },
      { path: 's', type: 'symlink', link: 'x' },
    ],
  ],
};

/** posix_acl_xattr.h */
function acl(...entries: [tag: number, permissions: number, id?: number][]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, id = 0xffffffff]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(permissions, 6 + index * 8);
    bytes.writeUInt32LE(id, 8 + index * 8);
  }
  return bytes;
}

describe.each(drivers)('layers with the $driver driver become what umoci makes of them', (driver) => {
  let filesystem: StoreFilesystem;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  it.each(Object.entries(cases))('%s', async (_title, layers) => {
    const startedMs = Date.now() - 1000;
    // A bottom layer that names the root: without one its time is anybody's choice.
    const root = tar({ path: './', type: 'directory' });
    const layout = filesystem.layout({
      name: 'case:1',
      layers: [root, ...layers.map((entries) => tar(...entries))],
    });
    const store = filesystem.store();
    await store.load(layout);
    const oracle = await umociUnpack(`${layout}:case:1`, filesystem.fresh('bundle'));
    expect(withoutWallClock(await store.compare('case:1', oracle), startedMs)).toEqual([]);
    expect(await store.fsck()).toEqual([]);
  });

  // Seeds whose images umoci unpacks, too; most others put a file below a file.
  it('images of random entries', async () => {
    const startedMs = Date.now() - 1000;
    const layout = filesystem.layout(
      ...[5, 12, 16, 19, 22, 23, 35, 42, 53, 59].map((seed) => ({
        name: `seed-${seed}:1`,
        layers: [
          tar({ path: './', type: 'directory' }),
          ...randomLayers(seed, { layers: 3, entries: 8 }).map((entries) => tar(...entries)),
        ],
      })),
    );
    const store = filesystem.store();
    const images = await store.load(layout);
    expect(images).toHaveLength(10);
    for (const { reference } of images) {
      const oracle = await umociUnpack(`${layout}:${reference}`, filesystem.fresh('bundle'));
      expect(withoutWallClock(await store.compare(reference!, oracle), startedMs)).toEqual([]);
    }
    expect(await store.fsck()).toEqual([]);
  });

  it.each(['none', 'gzip', 'zstd'] as const)(
    'a root file system by GNU tar, compression %s',
    async (compression) => {
      const source = await rootfs(filesystem.directory('rootfs'));
      const archive = await gnuTar(source, ['--format=pax', '--xattrs', '--xattrs-include=*']);
      const layout = filesystem.layout({ name: 'real:1', layers: [{ tar: archive, compression }] });
      const store = filesystem.store();
      await store.load(layout);
      expect(await store.compare('real:1', source)).toEqual([]);
      // umoci 0.4.7 reads no zstd.
      const plain = filesystem.layout({ name: 'real:1', layers: [archive] });
      const oracle = await umociUnpack(`${plain}:real:1`, filesystem.fresh('bundle'));
      expect(await store.compare('real:1', oracle)).toEqual([]);
      expect(await store.fsck()).toEqual([]);
    },
  );
});

describe.each(drivers)('a tar of GNU tar with the $driver driver becomes what it was made of', (driver) => {
  let filesystem: StoreFilesystem;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  it.each([
    ['ACLs as text', ['--format=pax', '--numeric-owner', '--acls']],
    ['sparse files of the old format', ['--format=gnu', '--sparse']],
    ['sparse files of pax 0.0', ['--format=pax', '--sparse', '--sparse-version=0.0']],
    ['sparse files of pax 0.1', ['--format=pax', '--sparse', '--sparse-version=0.1']],
    ['sparse files of pax 1.0', ['--format=pax', '--sparse', '--sparse-version=1.0']],
  ])('%s', async (_title, options) => {
    const source = await rootfs(filesystem.directory('rootfs'));
    const wantsAcls = options.includes('--acls');
    const archive = filesystem.fresh('archive.tar');
    await writeFile(archive, await gnuTar(source, options));
    const store = filesystem.store();
    await store.cliOk('import', [archive, 'real:1']);
    // What the archive has no form for is not in it: what GNU tar makes of it is the oracle.
    const oracle = filesystem.directory('oracle');
    const extract = ['--extract', '--numeric-owner', '--same-owner', '-p', ...(wantsAcls ? ['--acls'] : [])];
    await execa('tar', [...extract, '--file', archive, '--directory', oracle]);
    expect(await store.compare('real:1', oracle)).toEqual([]);
    const { size, blocks } = await store.usage('real:1', 'var/sparse');
    expect(size).toBe(8 << 20);
    expect(blocks).toBeLessThan(512 << 10);
    expect(await store.fsck()).toEqual([]);
  });
});

/** A root file system with a bit of everything, made by other programs than ours. */
async function rootfs(directory: string): Promise<string> {
  await execa('sh', ['-eu', '-c', rootfsScript, 'sh'], { cwd: directory });
  return directory;
}

const rootfsScript = `
mkdir -p usr/bin usr/lib var etc dev srv/shared
ln -s usr/lib lib
echo program > usr/bin/ping
setcap cap_net_raw=ep usr/bin/ping
echo su > usr/bin/su
chown 12:34 usr/bin/su
chmod 4755 usr/bin/su
ln usr/bin/su usr/bin/sudo
setfattr -n user.note -v kept etc
printf 'a\\0b' > etc/binary
mknod dev/null c 1 3
mkfifo dev/initctl
truncate -s 8M var/sparse
printf middle | dd of=var/sparse bs=1 seek=4194304 conv=notrunc status=none
printf end | dd of=var/sparse bs=1 seek=8388605 conv=notrunc status=none
echo shared > srv/shared/file
setfacl -m u:54321:rwx -m d:u:54321:rwx srv/shared
setfacl -m u:54322:r srv/shared/file
name=$(printf 'n%.0s' $(seq 200))
mkdir -p "var/$name/$name"
echo deep > "var/$name/$name/$name"
touch -d '@1234567890.123456789' etc/binary usr/bin/ping
find . -depth -exec touch -h -d '@1500000000.5' {} +
`;

async function gnuTar(source: string, options: readonly string[]): Promise<Buffer> {
  const { stdout } = await execa('tar', ['--create', ...options, '--directory', source, '.'], {
    encoding: 'buffer',
    maxBuffer: 64 << 20,
  });
  return Buffer.from(stdout);
}

describe('layers with the overlay driver', () => {
  it('copy a file up when a second layer links to it, so that the names before it stand apart', async () => {
    await using filesystem = await storeFilesystem(drivers[1]);
    const layout = filesystem.layout({
      name: 'case:1',
      layers: [
        tar({ path: './', type: 'directory' }, { path: 'a', content: 'x' }),
        tar({ path: 'b', type: 'hardlink', link: 'a' }),
        tar({ path: 'c', type: 'hardlink', link: 'a' }),
      ],
    });
    const store = filesystem.store();
    await store.load(layout);
    const oracle = await umociUnpack(`${layout}:case:1`, filesystem.fresh('bundle'));
    expect(await store.compare('case:1', oracle)).toEqual([
      { path: '/a', what: 'link count 2 / 3' },
      { path: '/b', what: 'link count 2 / 3' },
      { path: '/c', what: 'link count 2 / 3' },
    ]);
  });
});

/** umoci leaves the time of day on directories that no entry names; we have better. */
function withoutWallClock(differences: TreeDifference[], startedMs: number): string[] {
  const since = BigInt(startedMs) * 1_000_000n;
  return differences
    .filter(({ what }) => !(what.startsWith('time ') && BigInt(what.split(' / ')[1]!) >= since))
    .map(({ path, what }) => `${path}: ${what}`);
}
