import { readFileSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareTrees } from '../../src/layer/compare-trees.ts';
import { makeBaseTar } from '../support/build-fixtures.ts';
import { bootOnce, type BootScript } from '../support/kept-root.ts';
import { build } from '../support/run-build.ts';
import { runCli, runCliOk, type CliResult } from '../support/run-cli.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';

/** Something of everything that somebody may do. */
const everything = `
  echo new > new; mkdir -p deep/er secret; chmod 700 secret; echo key > secret/key; chmod 600 secret/key; chown 7:8 secret secret/key
  echo linked > deep/er/a; ln deep/er/a deep/b; ln -s ../new deep/link; chown -h 3:4 deep/link; mkfifo deep/fifo
  mknod deep/null c 1 3; chmod 666 deep/null; echo more >> opt/data/one; chmod 750 home/app; chown 50:60 home/app; rm -r usr/lib/old
  cp bin/busybox usr/bin/tool; chmod 4755 usr/bin/tool
  rm bin/vi; rm bin/awk; mkdir bin/awk; echo 1 > bin/awk/in; rm -r opt/data/sub; echo file > opt/data/sub; rm bin/ed; ln -s other bin/ed
  touch "$(printf 'opt/caf\\351')" 'opt/two
lines' 'opt/back\\slash' 'opt/a b$c"d' "opt/it's" 'opt/%s #x'; ln -s 'a b' 'opt/a link'
  echo 'me:x:1001:1001:Me:/home/me:/bin/sh' >> etc/passwd; sed -i 's/^app:.*/app:x:1000:1000:changed:\\/home\\/app:\\/bin\\/sh/' etc/passwd
  echo 'me:x:1001:' >> etc/group; echo 'me:!:1::::::' > etc/shadow; chmod 640 etc/shadow; chown 0:42 etc/shadow`;

describe.each(drivers)('what was changed of a root, adopted with the $driver driver,', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    const tar = await makeBaseTar(filesystem.directory('base'));
    for (const name of ['base:1', 'plain:1']) await store.cliOk('import', [tar, name]);
    await boot(everything);
  });
  afterAll(async () => await filesystem[Symbol.asyncDispose]());

  async function boot(script: string, more: Partial<BootScript> = {}): Promise<void> {
    const place = { filesystem: filesystem.mountPoint, store: store.path, image: 'base:1' };
    await bootOnce(filesystem.directory('boot'), { ...place, script, ...more });
  }

  async function adopt(...args: string[]): Promise<string> {
    return await runCliOk(['deployment', 'adopt', '--store', store.path, '--deployment', 'base:1', ...args]);
  }

  async function adoptOrFail(...args: string[]): Promise<CliResult> {
    return await runCli(['deployment', 'adopt', '--store', store.path, '--deployment', 'base:1', ...args]);
  }

  /** An image's root file system as a directory. */
  async function unpacked(image: string): Promise<string> {
    const tree = filesystem.directory('tree');
    await store.cliOk('export', [image, '--output', `${tree}.tar`]);
    await execa('tar', [
      '--extract',
      '--xattrs',
      '--xattrs-include=*',
      '--numeric-owner',
      '-pf',
      `${tree}.tar`,
      '-C',
      tree,
    ]);
    return tree;
  }

  /** In what two trees differ, but for times. */
  function differences(first: string, second: string): string[] {
    return compareTrees(first, second, 100)
      .filter(({ what }) => !what.startsWith('time '))
      .map(({ path: where, what }) => `${where}: ${what}`);
  }

  function lines(file: string): string[] {
    return readFileSync(file, 'utf8').split('\n').toSorted();
  }

  it('is the same as a layer, as a Dockerfile and as a top layer', async () => {
    // The root itself.
    const root = filesystem.directory('root');
    await boot(
      `tar -cf - --xattrs --xattrs-include='*' --numeric-owner . | tar -xpf - --xattrs --xattrs-include='*' --numeric-owner -C '${root}'`,
      { writable: 'previous' },
    );
    await adopt('--all', '--into', 'layer', '--tag', 'layer:1');
    const layer = await unpacked('layer:1');
    expect(differences(layer, root)).toEqual([]);
    expect(await store.fsck()).toEqual([]);

    const context = filesystem.directory('context');
    await adopt('--all', '--into', 'dockerfile', '--output', context);
    await build(store, { context, references: ['built:1'] });
    const built = await unpacked('built:1');
    // Accounts go by name: those that were changed come last.
    expect(differences(built, layer)).toEqual(['/etc/passwd: content']);
    expect(lines(path.join(built, 'etc/passwd'))).toEqual(lines(path.join(layer, 'etc/passwd')));

    const top = filesystem.directory('top');
    await adopt('--all', '--into', 'top-layer', '--top-layer', top);
    const applied = filesystem.directory('applied');
    await boot(
      `tar -cf - --xattrs --xattrs-include='*' --numeric-owner . | tar -xpf - --xattrs --xattrs-include='*' --numeric-owner -C '${applied}'`,
      { image: 'plain:1', topLayer: top },
    );
    expect(differences(applied, layer)).toEqual([]);
  });

  it('is only what is named, beside what the top layer has', async () => {
    const top = filesystem.directory('top');
    const script = `mkdir -p etc opt bin; chmod 711 opt; echo 'mine:x:5:5::/:/bin/sh' > etc/passwd; touch bin/.wh.awk opt/.wh.data
      echo mine > etc/mine; echo old > bin/vi`;
    await execa('sh', ['-euc', script], { cwd: top });
    const paths = ['/bin/awk', '/bin/vi', '/etc/passwd', '/opt/data/one', '/secret/key', '/opt/caf\\xe9'];
    const said = await adopt(...paths, '--into', 'top-layer', '--top-layer', top);
    expect(said.split('\n').slice(0, 3)).toEqual(['C /bin/awk', 'A /bin/awk/in', 'D /bin/vi']);
    const { stdout } = await execa('find', ['.', '-mindepth', '1', '-printf', '%p %m %U:%G\n'], {
      cwd: top,
      encoding: 'latin1',
    });
    expect(stdout.split('\n').toSorted()).toEqual([
      './bin 755 0:0',
      './bin/.wh.vi 600 0:0',
      './bin/awk 755 0:0',
      './bin/awk/in 644 0:0',
      './etc 755 0:0',
      './etc/mine 644 0:0',
      './etc/passwd 644 0:0',
      './opt 711 0:0',
      './opt/.wh.data 644 0:0',
      './opt/caf\xe9 644 0:0',
      './opt/data 755 0:0',
      './opt/data/one 644 0:0',
      './secret 700 7:8',
      './secret/key 600 7:8',
    ]);
    expect(readFileSync(path.join(top, 'etc/passwd'), 'utf8')).toBe(
      'mine:x:5:5::/:/bin/sh\napp:x:1000:1000:changed:/home/app:/bin/sh\nme:x:1001:1001:Me:/home/me:/bin/sh\n',
    );
  });

  it('into a Dockerfile goes on where that ends, as root', async () => {
    const context = filesystem.directory('context');
    await writeFile(path.join(context, 'Dockerfile'), 'FROM base:1\nENV A=1');
    const args = ['--into', 'dockerfile', '--output', context];
    await adopt('/new', ...args);
    const dry = await adopt('/opt/data/one', '--dry-run', ...args);
    expect(readdirSync(context)).toEqual(['Dockerfile', 'adopted']);
    await adopt('/opt/data/one', ...args);
    const said = await readFile(path.join(context, 'Dockerfile'), 'utf8');
    expect(said).toBe(`FROM base:1
ENV A=1

# What was changed on base:1 (ephemeral)
COPY --chown=0:0 --chmod=0644 adopted/files/new /

# What was changed on base:1 (ephemeral)
COPY --chown=0:0 --chmod=0644 adopted-2/files/opt/data/one /opt/data/
`);
    expect(said.endsWith(dry)).toBe(true);
  });

  it('over a top layer is a layer of the image alone', async () => {
    const top = filesystem.directory('top');
    await execa(
      'sh',
      ['-euc', 'mkdir -p etc/own opt; echo 1 > etc/own/a; echo 1 > etc/gone; touch opt/.wh.data'],
      { cwd: top },
    );
    await boot(
      'echo 2 > etc/own/a; echo 2 > etc/own/b; rm etc/gone bin/vi; mkdir opt/data; echo back > opt/data/one',
      { topLayer: top },
    );
    const made = await adoptOrFail('--all', '--into', 'layer', '--tag', 'over:1');
    expect(made.stderr.split('\n').at(-2)).toBe(
      'Note: the top layer lies over the image, and has these, too: /etc/gone, /etc/own/a, /opt/data, /opt/data/one',
    );
    expect(made.stdout).toMatch(/^The image sha256:[0-9a-f]{64} has this now\.$/m);
    const expected = {
      'etc/own/a': '2\n',
      'etc/own/b': '2\n',
      'etc/gone': undefined,
      'bin/vi': undefined,
      'opt/data/one': 'back\n',
      'opt/data/link': '-> one',
    };
    expect(await store.read('over:1', Object.keys(expected))).toEqual(Object.values(expected));
  });
});

describe('adopting', () => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  beforeAll(async () => {
    filesystem = await storeFilesystem(drivers[1]);
    store = filesystem.store();
    await store.cliOk('import', [await makeBaseTar(filesystem.directory('base')), 'base:1']);
    const place = { filesystem: filesystem.mountPoint, store: store.path, image: 'base:1' };
    await bootOnce(filesystem.directory('boot'), { ...place, script: 'echo new > new' });
  });
  afterAll(async () => await filesystem[Symbol.asyncDispose]());

  it.each([
    [['--into', 'layer'], 2, 'nothing is named that is to be adopted'],
    [['/etc/hosts', '--into', 'layer'], 1, '/etc/hosts was not changed on base:1'],
    [['etc/passwd', '--into', 'layer'], 2, '"etc/passwd" is no absolute path'],
    [['/new', '--into', 'dockerfile'], 2, 'a Dockerfile needs a place'],
    [['/new', '--into', 'top-layer', '--tag', 'x'], 2, '--tag say nothing of a top-layer'],
    [
      ['/new', '--into', 'top-layer', '--top-layer', '/nowhere'],
      1,
      'there is no directory /nowhere with a top layer',
    ],
    [['--package', 'none', '--into', 'layer'], 1, 'the package "none" was not changed on base:1'],
    [['/new', '--into', 'layer', '--tag', 'Not A Name'], 2, 'not an image reference'],
  ])('%j is refused', async (args, status, message) => {
    const before = [await store.images(), store.layers(), store.blobs()];
    const { exitCode, stderr } = await runCli([
      'deployment',
      'adopt',
      '--store',
      store.path,
      '--deployment',
      'base:1',
      ...args,
    ]);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(status);
    expect([await store.images(), store.layers(), store.blobs()]).toEqual(before);
  });
});
