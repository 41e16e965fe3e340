import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changedDirectories, snapshotGeneration } from '../../src/system/btrfs-changes.ts';
import type { DriftReport } from '../../src/drift/drift-report.ts';
import { makeBaseTar } from '../support/build-fixtures.ts';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { bootOnce, type BootScript } from '../support/kept-root.ts';
import { runCli, runCliOk, type CliResult } from '../support/run-cli.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';

/** What every boot does, and something of everything that somebody may do. */
const everything = `
  mkdir -p var/lib/dhcp var/lib/imgboot tmp/x; echo 1 > etc/machine-id; echo 2 > var/log/new.log; touch etc/passwd
  cat etc/group > /dev/null; mv opt/data/sub/two x; mv x opt/data/sub/two
  echo new > new; mkdir -p deep/er; echo linked > deep/er/a; ln deep/er/a deep/b; ln -s ../new deep/link; mkfifo deep/fifo
  mknod deep/null c 1 3; echo more >> opt/data/one; chmod 750 home/app; chown 50:60 home/app; rm -r usr/lib/old
  rm bin/vi; rm bin/awk; mkdir bin/awk; ln opt/data/sub/three three; setfattr -n user.color -v red opt/data
  printf odd > "$(printf 'opt/caf\\351')"; touch 'opt/two
lines' 'opt/back\\slash'; rm bin/ed; ln -s other bin/ed`;

// prettier-ignore
const told = [
  'C /bin/awk/ (type)', 'C /bin/ed (target)', 'D /bin/vi', 'A /deep/', 'A /deep/b', 'A /deep/er/', 'A /deep/er/a', 'A /deep/fifo',
  'A /deep/link', 'A /deep/null', 'C /home/app/ (mode, owner)', 'A /new', 'A /opt/back\\\\slash', 'A /opt/caf\\xe9',
  'C /opt/data/ (attributes)', 'C /opt/data/one', 'C /opt/data/sub/three (links)', 'A /opt/two\\x0alines', 'A /three',
  'D /usr/lib/old',
];

const paragraph = (name: string, version: string): string =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: ${version}\n\n`;

describe.each(drivers)('what was changed of a root, with the $driver driver,', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    const tar = await makeBaseTar(filesystem.directory('base'));
    for (const name of ['base:1', 'top:1', 'kept:1', 'moved:1', 'packages:1'])
      await store.cliOk('import', [tar, name]);
  });
  afterAll(async () => await filesystem[Symbol.asyncDispose]());

  async function boot(image: string, script: string, more: Partial<BootScript> = {}): Promise<void> {
    const place = { filesystem: filesystem.mountPoint, store: store.path };
    await bootOnce(filesystem.directory('boot'), { ...place, image, script, ...more });
  }

  async function diff(...args: string[]): Promise<string[]> {
    const out = await runCliOk(['deployment', 'diff', '--store', store.path, ...args]);
    return out.split('\n').filter(Boolean);
  }

  async function failure(...args: string[]): Promise<CliResult> {
    return await runCli(['deployment', 'diff', '--store', store.path, ...args]);
  }

  function topLayer(files: Record<string, string>): string {
    const directory = filesystem.directory('top');
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.join(directory, path.dirname(name)), { recursive: true });
      writeFileSync(path.join(directory, name), content);
    }
    return directory;
  }

  it('is told without what every boot changes', async () => {
    await boot('base:1', everything);
    expect(await diff('base:1')).toEqual(told);
    expect(await diff('base:1', '--all')).toEqual(
      expect.arrayContaining([
        'A /etc/machine-id (ignored: /etc/machine-id)',
        'C /etc/passwd (ignored: time)',
        'A /tmp/x/ (ignored: /tmp/)',
        'A /var/log/new.log (ignored: /var/log/)',
      ]),
    );
    const report = JSON.parse(
      await runCliOk([
        'deployment',
        'diff',
        '--store',
        store.path,
        'base:1',
        '--json',
        '--layer',
        'ephemeral',
      ]),
    ) as DriftReport;
    expect(report).toMatchObject({
      root: { name: 'base:1', layer: 'ephemeral', booted: false },
      packages: [],
      notes: [],
    });
    expect(report.changes).toHaveLength(told.length);
    expect(report.changes).toContainEqual({
      kind: 'changed',
      path: '/home/app',
      type: 'directory',
      differs: ['mode', 'owner'],
      package: null,
      ignored: null,
    });
  });

  it('of earlier boots is told, too', async () => {
    await boot('kept:1', 'echo 1 > one');
    await boot('kept:1', 'echo 2 > two');
    await boot('kept:1', ':');
    expect(await diff('kept:1')).toEqual([]);
    expect(await diff('kept:1', '--previous')).toEqual(['A /two']);
    expect(await diff('kept:1', '--layer', 'ephemeral.1')).toEqual(['A /one']);
    const { stderr, exitCode } = await failure('kept:1', '--layer', 'persistent');
    expect(exitCode).toBe(1);
    expect(stderr).toBe(
      'imgboot: no layer "persistent" is kept of kept:1\n  there is ephemeral, ephemeral.2, ephemeral.1\n',
    );
    expect((await failure('never:1')).stderr).toContain(
      'never:1 is no deployment, and no image that was booted',
    );
    expect((await failure()).stderr).toContain('nothing is deployed');
  });

  it('is told of directories that were moved, and of nothing that was only read', async () => {
    const swap =
      'mv opt/data x; mv usr/lib/old opt/data; mv x usr/lib/old; ls -R . > /dev/null; cat etc/* > /dev/null';
    await boot('moved:1', swap);
    expect(await diff('moved:1')).toEqual([
      'A /opt/data/file',
      'D /opt/data/link',
      'D /opt/data/one',
      'D /opt/data/sub',
      'D /usr/lib/old/file',
      'A /usr/lib/old/link',
      'A /usr/lib/old/one',
      'A /usr/lib/old/sub/',
      'A /usr/lib/old/sub/three',
      'A /usr/lib/old/sub/two',
    ]);
  });

  describe('on which a top layer lies,', () => {
    const files = {
      'etc/name': 'machine\n',
      'etc/passwd': 'me:x:1001:1001::/:/bin/sh\n',
      'opt/.wh.data': '',
      'etc/only': '1\n',
      'etc/gone': '1\n',
    };
    const change = 'echo changed >> etc/name; rm etc/gone; echo new > new; echo you:x:7:7::/: >> etc/passwd';
    const expected = ['D /etc/gone', 'C /etc/name', 'C /etc/passwd', 'A /new'];

    it.each(['ephemeral', 'persistent'])('is told apart from it (%s)', async (writable) => {
      await boot('top:1', change, { writable, topLayer: topLayer(files) });
      expect(await diff('top:1', '--layer', writable)).toEqual(expected);
    });

    it('is told apart from a newer one on a persistent root', async () => {
      const newer = topLayer({ 'etc/only': '2\n', 'etc/newer': '2\n' });
      await boot('top:1', 'echo 3 > three', { writable: 'persistent', topLayer: newer });
      const place = path.join(store.path, 'deployments/top%3A1');
      // A persistent root keeps what earlier top layers brought: nothing says any more that those are no changes.
      expect(await diff('top:1', '--layer', 'persistent')).toEqual(
        expect.arrayContaining(['A /new', 'A /three', 'A /etc/name']),
      );
      expect(await diff('top:1', '--layer', 'persistent')).not.toContain('A /etc/newer');
      await execa('sh', ['-euc', 'for base in base.*; do mv "$base" "gone.$base"; done'], { cwd: place });
      const { stdout, stderr } = await failure('top:1', '--layer', 'persistent');
      expect(stdout).toContain('A /etc/newer\n');
      expect(stderr).toContain('the top layer that top:1 was booted with is no longer there to compare with');
    });
  });

  it('of packages is told as theirs, but for what was edited afterwards', async () => {
    const install = `mkdir -p var/lib/dpkg/info usr/share/doc/tool etc/tool
      printf '%s' '${paragraph('base', '2')}${paragraph('tool', '1.0-1')}' > var/lib/dpkg/status
      echo tool > usr/bin/tool; echo doc > usr/share/doc/tool/readme; echo conf > etc/tool/conf; echo mine > etc/tool/mine
      printf '%s\\n' /. /usr /usr/bin /usr/bin/tool /usr/share /usr/share/doc /usr/share/doc/tool /usr/share/doc/tool/readme /etc/tool /etc/tool/conf > var/lib/dpkg/info/tool.list
      md5sum usr/bin/tool usr/share/doc/tool/readme etc/tool/conf > var/lib/dpkg/info/tool.md5sums; echo edited >> etc/tool/conf
      mkdir -p var/lib/apt; printf 'Package: base\\nAuto-Installed: 1\\n\\n' > var/lib/apt/extended_states`;
    await boot('packages:1', install);
    const lines = await diff('packages:1');
    expect(lines).toEqual([
      'installed base 2 (0 paths, for another package)',
      'installed tool 1.0-1 (6 paths)',
      'A /etc/tool/conf',
      'A /etc/tool/mine',
      'A /var/lib/',
      'A /var/lib/apt/',
    ]);
    expect(await diff('packages:1', '--files')).toEqual(
      expect.arrayContaining(['A /usr/bin/tool', 'A /var/lib/dpkg/status']),
    );
  });
});

it('btrfs tells the directories in which something was changed, and that costs no look at others', async () => {
  await using filesystem = await loopFilesystem({ type: 'btrfs', sizeBytes: 128 * 2 ** 20 });
  const script = `btrfs -q subvolume create a; mkdir -p a/in/deep a/out/deep a/linked a/read; echo 1 > a/in/deep/x; echo 1 > a/out/deep/y
    echo 1 > a/read/x; touch -a -d @1 a/read/x; ln a/out/deep/y a/linked/y; btrfs -q subvolume snapshot a b; btrfs -q subvolume snapshot a other
    cat b/read/x > /dev/null; ls b/* > /dev/null`;
  const changed = async (change: string): Promise<string[] | undefined> => {
    const cwd = filesystem.mountPoint;
    await execa(
      'sh',
      ['-euc', `for one in a b other; do [ ! -e $one ] || btrfs -q subvolume delete $one; done; ${script}`],
      { cwd },
    );
    await execa('sh', ['-euc', change], { cwd });
    const [snapshot, source] = [path.join(cwd, 'b'), path.join(cwd, 'a')];
    const since = snapshotGeneration(snapshot, source);
    if (since === undefined) return undefined;
    const inodes = changedDirectories(snapshot, { source, since, limit: 100 })!;
    const { stdout } = await execa('find', ['.', '-type', 'd', '-printf', '%i %p\n'], { cwd: snapshot });
    return stdout
      .split('\n')
      .filter((line) => inodes.has(Number(line.split(' ')[0])))
      .map((line) => line.slice(line.indexOf(' ') + 1))
      .toSorted();
  };
  expect(await changed(':')).toEqual([]);
  expect(await changed('echo 2 > b/in/deep/x')).toEqual(['.', './in', './in/deep']);
  expect(await changed('chmod 600 b/in/deep/x; sync')).toEqual(['.', './in', './in/deep']);
  expect(await changed('setfattr -n user.a -v b b/in')).toEqual(['.', './in']);
  expect(await changed('rm b/in/deep/x')).toEqual(['.', './in', './in/deep']);
  // A file with two names is found by both.
  expect(await changed('echo 2 >> b/linked/y')).toEqual(['.', './linked', './out', './out/deep']);
  expect(await changed('mv b/in/deep b/out/moved')).toEqual(['.', './in', './out', './out/moved']);
  // What is no snapshot of it, or of what it was, nobody can tell.
  expect(await changed('echo 2 > a/in/deep/x')).toBeUndefined();
  expect(
    snapshotGeneration(path.join(filesystem.mountPoint, 'a'), path.join(filesystem.mountPoint, 'b')),
  ).toBeUndefined();
});
