import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { examineOnRoot } from '../../src/top-layer/examine-image.ts';
import type { Finding } from '../../src/top-layer/finding.ts';
import { applyScript } from '../support/apply-top-layer.ts';
import { hookLibrary } from '../support/hook-shells.ts';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { runCli, runCliOk } from '../support/run-cli.ts';
import { tar } from '../support/tar-builder.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import {
  drivers,
  leftovers,
  storeFilesystem,
  type StoreFilesystem,
  type TestStore,
} from '../support/test-store.ts';
import { collidingImage, collidingTop, collisions } from '../support/top-layer-collisions.ts';

let work: TemporaryDirectory;
beforeEach(async () => {
  work = await TemporaryDirectory.create();
});
afterEach(async () => work[Symbol.asyncDispose]());

function at(...names: string[]): string {
  return path.join(work.path, ...names);
}

async function sh(script: string, cwd = work.path): Promise<string> {
  return (await execa('bash', ['-euc', `umask 022; ${script}`], { cwd, env: { LC_ALL: 'C' } })).stdout;
}

function shown({ level, code, path: where }: Finding): string {
  return `${level} ${code} ${where}`;
}

/** What collides of a top layer, made by a script, with a root file system that a script makes. */
async function checkRoot(image: string, top: string): Promise<string[]> {
  for (const name of ['image', 'top']) mkdirSync(at(name));
  await sh(image, at('image'));
  await sh(top, at('top'));
  const place = { kind: 'directory', path: at('top') } as const;
  const { findings } = await examineOnRoot({ place, root: at('image') });
  return findings.map(shown);
}

/** As a boot applies it. */
async function applyByShell(root: string, top: string): Promise<{ exitCode?: number }> {
  const args = [hookLibrary, at('hook'), top, root];
  const isolated = ['--mount', '--propagation', 'private', 'sh', '-c', applyScript, 'sh', ...args];
  return execa('unshare', isolated, { reject: false, env: { LC_ALL: 'C' } });
}

describe.each(drivers)('imgboot toplayer check, with the $driver driver,', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    const layers = [tar(...collidingImage), tar({ path: 'etc/second', content: '' })];
    await store.load(filesystem.layout({ name: 'image', layers }));
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  it('names every collision', async () => {
    await sh(collidingTop);
    const server = createServer().listen(at('run/socket'));
    const args = [
      'toplayer',
      'check',
      'image',
      '--store',
      store.path,
      '--top-layer',
      work.path,
      '--persist',
      '/home',
      '--json',
    ];
    const { stdout, exitCode } = await runCli(args);
    server.close();
    expect(exitCode).toBe(1);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings.map(shown).toSorted()).toEqual(collisions.toSorted());
    expect(await leftovers(store.path)).toEqual([]);
  });

  it('finds nothing in a top layer that goes well with the image', async () => {
    await sh(`mkdir -p etc/ssh etc/systemd/system/multi-user.target.wants home/me/.ssh usr/local/bin
      echo name > etc/hostname; touch etc/machine-id etc/fstab; echo key > etc/ssh/ssh_host_ed25519_key; chmod 600 etc/ssh/*key
      echo 'me:x:1000:1000::/home/me:/bin/sh' > etc/passwd; echo 'me:x:1000:' > etc/group; echo 'me:1000000:65536' > etc/subuid
      echo 'me:*:1::::::' > etc/shadow; chown 0:42 etc/shadow; chmod 640 etc/shadow
      echo key > home/me/.ssh/id_ed25519; chmod 700 home/me/.ssh; chmod 600 home/me/.ssh/id_ed25519; chown -R 1000:1000 home/me
      mkdir home/me/containers; chown 1000123 home/me/containers
      ln -s ../run/systemd/resolve/resolv.conf etc/resolv.conf; ln -s /dev/null etc/systemd/system/masked.service
      ln -s /usr/lib/x etc/systemd/system/multi-user.target.wants/x.service; echo zone > etc/localtime
      echo '#!/bin/sh' > usr/local/bin/own; chmod 755 usr/local/bin/own; mkdir -p etc/app.d lib; touch etc/app.d/.wh.one lib/y`);
    const args = ['toplayer', 'check', 'image', '--store', store.path, '--top-layer', work.path];
    expect(await runCliOk(args)).toBe(`${work.path} goes well with image:latest\n`);
  });
});

describe('what stops a boot', () => {
  it.each([
    ['.wh.', 'echo i > f', 'touch .wh.', 'error stops-the-boot /.wh.'],
    ['.wh..', 'echo i > f', 'touch .wh..', 'error stops-the-boot /.wh..'],
    ['the deletion of everything', 'echo i > f', 'touch .wh..wh..opq', 'error stops-the-boot /.wh..wh..opq'],
    ['a deletion below a file', 'echo i > f', 'mkdir f; touch f/.wh.x', 'error stops-the-boot /f/.wh.x'],
    ['a deletion in a loop', 'ln -s f f', 'mkdir f; touch f/.wh.x', 'error stops-the-boot /f/.wh.x'],
    ['a hard link to a deletion', 'echo i > f', 'touch .wh.f; ln .wh.f g', 'error stops-the-boot /g'],
    [
      'a file where another part is a directory',
      'mkdir -p usr/lib; ln -s usr/lib lib',
      'mkdir -p lib/x usr/lib; touch lib/x/y usr/lib/x',
      'error stops-the-boot /usr/lib/x',
    ],
  ])('%s', async (_, image, top, error) => {
    expect(await checkRoot(image, top)).toContain(error);
    // The boot's own shell says so, too.
    const { exitCode } = await applyByShell(at('image'), at('top'));
    expect(exitCode).toBe(3);
  });

  it.each([
    ['sbin/init deleted', 'mkdir sbin; touch sbin/.wh.init', 'error no-init /sbin/.wh.init'],
    ['what init leads to', 'mkdir -p usr/lib; ln -s nothing usr/lib/init', 'error no-init /usr/lib/init'],
  ])('an init that is gone: %s', async (_, top, error) => {
    const image =
      'mkdir -p sbin usr/lib; echo i > usr/lib/init; chmod 755 usr/lib/init; ln -s /usr/lib/init sbin/init';
    expect(await checkRoot(image, top)).toContain(error);
  });

  it('a device that is a deletion to overlayfs', async () => {
    expect(await checkRoot('echo i > f', 'mknod f c 0 0')).toContain('error overlay-whiteout /f');
  });
});

it('accounts that are replaced, and not merged, are missed', async () => {
  const image = "mkdir etc; printf 'root:x:0:0::/:/\\nsystem:x:1:1::/:/\\n' > etc/passwd";
  const top = "mkdir etc; printf 'root:*:0:0::/:\\n' > etc/passwd; touch .imgboot-replace-accounts";
  expect(await checkRoot(image, top)).toContain('warning lost-accounts /etc/passwd');
});

it('a hostile image leads nowhere', async () => {
  await sh('mkdir outside; echo secret > outside/secret; echo secret > outside/passwd');
  const outside = at('outside');
  const image = `ln -s ${outside} etc; ln -s ../../../../../../../..${outside} up; mkfifo usr; ln -s loop loop`;
  await checkRoot(
    image,
    'mkdir etc up usr loop; echo t > etc/secret; echo t > up/secret; echo t > etc/passwd; touch etc/.wh.passwd',
  );
  const args = ['diff', '--root', at('image'), '--top-layer', at('top')];
  const printed = await runCliOk(['toplayer', ...args]);
  expect(printed).not.toContain('-secret');
  expect(printed).toContain('add      /etc/secret');
});

describe('imgboot toplayer', () => {
  it('init makes a directory that only its owner can look into, once', async () => {
    const top = at('a/top');
    expect(await runCliOk(['toplayer', 'init', '--top-layer', top])).toContain(`${top} is there, and empty.`);
    expect(statSync(top).mode & 0o777).toBe(0o700);
    expect(statSync(at('a')).mode & 0o777).toBe(0o755);
    await runCliOk(['toplayer', 'init', top]);
    writeFileSync(path.join(top, 'x'), '');
    expect((await runCli(['toplayer', 'init', '--top-layer', top])).stderr).toContain(
      `${top} is there already`,
    );
  });

  it('ls says what the boot does with each', async () => {
    await sh(`mkdir -p etc/d lost+found .wh.dir; echo name > etc/hostname; chmod 600 etc/hostname; chown 1:2 etc/hostname
      echo > etc/passwd; touch etc/.wh.motd etc/d/.wh..wh..opq .wh. lost+found/x; ln -s a "$(printf 'b\\033\\377')"`);
    const listed = await runCliOk(['toplayer', 'ls', '--top-layer', work.path]);
    expect(listed.split('\n').map((line) => line.trimEnd())).toEqual([
      'MODE  OWNER  SIZE       DOES                              PATH',
      '0644  0:0    0          stops the boot: it names nothing  /.wh.',
      '0755  0:0    directory  not copied                        /.wh.dir',
      '0777  0:0    symlink    copies                            /b\\x1b\\xff -> a',
      '0755  0:0    directory  copies                            /etc',
      '0644  0:0    0          deletes /etc/motd                 /etc/.wh.motd',
      '0755  0:0    directory  copies                            /etc/d',
      '0644  0:0    0          empties /etc/d                    /etc/d/.wh..wh..opq',
      '0600  1:2    5          copies                            /etc/hostname',
      '0644  0:0    1          merges                            /etc/passwd',
      '',
      expect.stringMatching(/^6 files, sha256:[0-9a-f]{64}$/),
      '',
    ]);
  });

  it('apply --dry-run says what is done, path by path, and nothing else can be had', async () => {
    await checkRoot(
      'mkdir -p usr/lib; ln -s usr/lib lib; echo i > gone',
      'mkdir lib; echo t > lib/x; touch .wh.gone',
    );
    const args = ['--root', at('image'), '--top-layer', at('top')];
    expect(await runCliOk(['toplayer', 'apply', '--dry-run', ...args])).toMatch(
      new RegExp(
        [
          '^delete   /gone \\(file\\), by /.wh.gone',
          'same     /usr/lib, from /lib',
          'add      /usr/lib/x, from /lib/x',
          '1 added, 1 deleted, 1 the same; 2 files, sha256:[0-9a-f]{64}\n$',
        ].join('\n'),
      ),
    );
    expect(readdirSync(at('image')).sort()).toEqual(['gone', 'lib', 'usr']);
    const { exitCode, stderr } = await runCli(['toplayer', 'apply', ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('a top layer is applied by the boot');
  });

  it('diff shows the lines of texts, and nothing that is secret', async () => {
    await checkRoot(
      `mkdir etc; printf 'one\\ntwo\\n' > etc/text; echo old-password > etc/key; chmod 640 etc/key; echo old-hash > etc/shadow
       printf 'a\\0b' > etc/binary; echo old-open > etc/closed; echo same > etc/same; echo 'root:x:0:' > etc/group`,
      `mkdir etc; printf 'one\\n\\033[31mthree\\n' > etc/text; echo new-password > etc/key; echo new-hash > etc/shadow
       printf 'a\\0c' > etc/binary; echo new-open > etc/closed; chmod 600 etc/closed; echo same > etc/same; echo 'me:x:1:' > etc/group`,
    );
    const printed = await runCliOk(['toplayer', 'diff', '--root', at('image'), '--top-layer', at('top')]);
    expect(printed).toBe(
      `replace  /etc/binary (content)
(binary: not shown)
replace  /etc/closed (content, mode 644 to 600)
(secret: not shown)
merge    /etc/group (content)
--- ${at('image')}:/etc/group
+++ top layer:/etc/group
@@ -1 +1,2 @@
 root:x:0:
+me:x:1:
replace  /etc/key (content, mode 640 to 644)
(secret: not shown)
merge    /etc/shadow (content)
(secret: not shown)
replace  /etc/text (content)
--- ${at('image')}:/etc/text
+++ top layer:/etc/text
@@ -1,2 +1,2 @@
 one
-two
+\\x1b[31mthree
`,
    );
  });
});

describe('imgboot toplayer add', () => {
  beforeEach(() => {
    for (const name of ['from', 'top']) mkdirSync(at(name));
  });
  const add = async (...paths: string[]): Promise<string> =>
    runCliOk(['toplayer', 'add', '--top-layer', at('top'), '--from', at('from'), ...paths]);
  const facts = `find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %s %n %l\\n' | sort; getfattr -R -h -d -m - . 2> /dev/null`;

  it('copies all that a file can have', async () => {
    await sh(
      `mkdir -p etc/d/deep; echo hidden > etc/d/.hidden; echo a > etc/d/a; ln etc/d/a etc/d/deep/b; ln -s ../nowhere etc/d/link
       chown 12:34 etc/d/a; chmod 4751 etc/d/a; setfattr -n user.color -v red etc/d/a; setfacl -m u:77:r etc/d/a
       setfacl -d -m g:88:rx etc/d; mkfifo etc/d/pipe; mknod etc/d/null c 1 3; echo x > "etc/d/$(printf 'lf\\nhigh\\377 -x')"
       truncate -s 1M etc/d/sparse; touch -d '2001-02-03 04:05:06.123456789' etc/d/a; touch -d @7 etc/d/deep
       chmod 2770 etc/d; chown 0:5 etc; chmod 711 etc; echo other > etc/other; touch -d @8 etc/d; touch -d @9 etc`,
      at('from'),
    );
    expect(await add('/etc/d')).toBe(`${at('top')} has /etc/d (8 files).\n`);
    await sh('rm from/etc/other; touch -d @9 from/etc');
    expect(await sh(facts, at('top'))).toBe(await sh(facts, at('from')));
    expect(await sh('cat etc/d/deep/b; [ etc/d/a -ef etc/d/deep/b ]', at('top'))).toBe('a');
  });

  it('takes links as they are, and follows those of directories inside the root', async () => {
    await sh(
      `mkdir -p usr/lib data; echo x > usr/lib/x; ln -s usr/lib lib; ln -s /data abs; echo d > data/d; ln -s ../../../../etc up
       ln -s /etc/passwd leaf`,
      at('from'),
    );
    await add('/lib/x', 'abs/d', '/leaf');
    expect(await sh('find . -mindepth 1 | sort', at('top'))).toBe(
      './data\n./data/d\n./leaf\n./usr\n./usr/lib\n./usr/lib/x',
    );
    const { stderr } = await runCli([
      'toplayer',
      'add',
      '--top-layer',
      at('top'),
      '--from',
      at('from'),
      '/up/hostname',
    ]);
    expect(stderr).toContain(`there is no /up/hostname in ${at('from')}`);
  });

  it('replaces what is there, file by file', async () => {
    await sh('mkdir -p etc/d; echo new > etc/d/f; echo new > etc/d/n; chmod 700 etc/d', at('from'));
    await sh('mkdir -p etc/d; echo old > etc/d/f; echo old > etc/d/kept; chmod 711 etc', at('top'));
    await add('/etc/d');
    expect(await sh('cat etc/d/f etc/d/kept etc/d/n; stat -c %a etc etc/d', at('top'))).toBe(
      'new\nold\nnew\n711\n700',
    );
  });

  it.each([
    [
      'a directory for a file',
      'mkdir -p etc/x',
      'mkdir etc; echo t > etc/x',
      'has a file at /etc/x, and this is a directory',
    ],
    [
      'a file for a directory',
      'mkdir etc; echo t > etc/x',
      'mkdir -p etc/x',
      'has a directory at /etc/x, and this is a file',
    ],
    [
      'through a link',
      'mkdir etc; echo t > etc/x',
      'ln -s /tmp etc',
      'has a symlink at /etc, and this is a directory',
    ],
  ])('refuses %s, and changes nothing', async (_, from, top, reason) => {
    await sh(from, at('from'));
    await sh(top, at('top'));
    const before = await sh(facts, at('top'));
    const { stderr, exitCode } = await runCli([
      'toplayer',
      'add',
      '--top-layer',
      at('top'),
      '--from',
      at('from'),
      '/etc/x',
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(reason);
    expect(await sh(facts, at('top'))).toBe(before);
  });

  it.each([
    ['/', 'a whole root file system is no top layer'],
    ['/proc/version', "cannot add /proc/version: it is the kernel's"],
    ['/sys', "cannot add /sys: it is the kernel's"],
    ['/dev/null', "cannot add /dev/null: it is the kernel's"],
    ['/no/such', 'there is no /no/such in /'],
  ])('refuses %s', async (name, reason) => {
    const { stderr, exitCode } = await runCli(['toplayer', 'add', '--top-layer', at('top'), name]);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(reason);
    expect(readdirSync(at('top'))).toEqual([]);
  });

  it('leaves out what no top layer can have, and itself', async () => {
    await sh('mkdir d; mv top d/top; echo x > d/x; touch d/.wh.x');
    const server = createServer().listen(at('d/socket'));
    const { stdout, stderr } = await runCli(['toplayer', 'add', '--top-layer', at('d/top'), 'd'], {
      cwd: work.path,
    });
    server.close();
    expect(stdout).toContain('(1 files)');
    expect(stderr.split('\n').toSorted().join('\n').trim()).toBe(
      [
        `Left out: ${at('d/.wh.x')}: a name that begins with .wh. deletes a file in a top layer`,
        `Left out: ${at('d/socket')}: a socket is no file`,
        `Left out: ${at('d/top')}: it is the top layer itself`,
      ].join('\n'),
    );
    const inside = await runCli(['toplayer', 'add', '--top-layer', at('d/top'), at('d/top/x')]);
    expect(inside.stderr).toContain(`there is no ${at('d/top/x')}`);
  });

  it('ends as it began where there is no room', async () => {
    await using small = await loopFilesystem({ type: 'ext4', sizeBytes: 8 * 2 ** 20 });
    await sh('head -c 20000000 /dev/urandom > big; echo new > small', at('from'));
    await sh(`echo old > ${small.mountPoint}/small`);
    const args = ['toplayer', 'add', '--top-layer', small.mountPoint, '--from', at('from'), '/small', '/big'];
    const { exitCode, stderr } = await runCli(args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/no space|No space|ENOSPC/);
    expect(await sh('ls -A; cat small', small.mountPoint)).toBe('lost+found\nsmall\nold');
  });

  it('has what a killed one left neither copied nor kept', async () => {
    await sh('mkdir -p etc; echo x > etc/x', at('from'));
    // What a boot leaves alone: the work of an add that lost its power.
    await sh('mkdir -p .wh..imgboot-new/etc; echo half > .wh..imgboot-new/etc/x', at('top'));
    mkdirSync(at('image'));
    expect((await applyByShell(at('image'), at('top'))).exitCode).toBe(0);
    expect(readdirSync(at('image'))).toEqual([]);
    await add('/etc/x');
    expect(await sh('find . -mindepth 1 | sort; cat etc/x', at('top'))).toBe('./etc\n./etc/x\nx');
  });
});

describe('a top layer on a device', () => {
  it('is listed and added to, mounted or not, where nobody else sees it', async () => {
    await using disk = await loopFilesystem({ type: 'btrfs', sizeBytes: 2 ** 27, label: 'imgboot-own' });
    await sh(
      'btrfs -q subvolume create own; mkdir own/etc; echo here > own/etc/hostname; ln -s own link',
      disk.mountPoint,
    );
    const ls = async (place: string): Promise<unknown> => {
      const { entries, topLayer } = JSON.parse(
        await runCliOk(['toplayer', 'ls', '--top-layer', place, '--json']),
      ) as {
        entries: { path: string }[];
        topLayer: string;
      };
      return { topLayer, paths: entries.map((entry) => entry.path) };
    };
    const place = 'LABEL=imgboot-own:/own';
    const expected = { topLayer: place, paths: ['/etc', '/etc/hostname'] };
    expect(await ls(place)).toEqual(expected);
    expect(
      await ls('toplayer=LABEL=imgboot-own toplayer_path=/own toplayerfstype=btrfs toplayerflags=subvolid=5'),
    ).toEqual(expected);
    const refused = await runCli(['toplayer', 'ls', '--top-layer', 'LABEL=imgboot-own:/link']);
    expect(refused.stderr).toContain('LABEL=imgboot-own:/link is no top layer: /link is no directory there');

    mkdirSync(at('etc'));
    writeFileSync(at('etc/new'), 'new');
    await runCliOk(['toplayer', 'add', '--top-layer', place, '--from', work.path, '/etc/new']);
    expect(readFileSync(path.join(disk.mountPoint, 'own/etc/new'), 'utf8')).toBe('new');
    expect(await leftovers(disk.mountPoint)).toEqual([]);
  });

  it('that is not there, or not alone, is told', async () => {
    const missing = await runCli(['toplayer', 'ls', '--top-layer', 'LABEL=imgboot-none']);
    expect(missing.stderr).toContain(
      'cannot open the top layer on LABEL=imgboot-none: no device answers to it',
    );
    await using first = await loopFilesystem({ type: 'ext4', sizeBytes: 2 ** 23, label: 'imgboot-two' });
    await using second = await loopFilesystem({ type: 'ext4', sizeBytes: 2 ** 23, label: 'imgboot-two' });
    expect(first.diskPath).not.toBe(second.diskPath);
    const both = await runCli(['toplayer', 'ls', '--top-layer', 'LABEL=imgboot-two']);
    expect(both.stderr).toMatch(/LABEL=imgboot-two: \/dev\/loop\d+ and \/dev\/loop\d+ answer to it/);
  });
});
