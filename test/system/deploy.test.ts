import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Collisions } from '../../src/deploy/collisions.ts';
import { deployImage } from '../../src/deploy/deploy.ts';
import { undeploy } from '../../src/deploy/undeploy.ts';
import type { LoaderName } from '../../src/loader/machine.ts';
import { createSubvolume, deleteSubvolume, subvolumeUuid } from '../../src/system/btrfs.ts';
import { DeployHost, bootableLayer, stagedRequest } from '../support/deploy-host.ts';
import { listing } from '../support/listing.ts';
import { repository } from '../support/paths.ts';
import { registry } from '../support/registry.ts';
import { runCli, runCliOk } from '../support/run-cli.ts';
import { tar } from '../support/tar-builder.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { drivers, leftovers, storeFilesystem, type StoreFilesystem } from '../support/test-store.ts';

describe.each(drivers)('on a machine with a system of its own, with the $driver driver', (driver) => {
  let host: DeployHost;
  beforeEach(async () => {
    host = await DeployHost.create(driver);
    await host.load('desktop:latest', 1);
  });
  afterEach(async () => host[Symbol.asyncDispose]());

  it('what a power cut left half done is cleared away by the next change', async () => {
    await host.deploy('desktop');
    const entries = path.join(host.boot, 'loader/entries');
    host.bless('desktop/1');
    copyFileSync(
      path.join(entries, 'imgboot-desktop-1+3.conf'),
      path.join(entries, 'imgboot-desktop-1+2-1.conf'),
    );
    const half = [
      host.version('desktop/1', '.new-boot'),
      path.join(entries, '.new-imgboot-desktop-1.conf'),
      path.join(entries, 'imgboot-desktop-1.conf'),
    ];
    for (const file of half) writeFileSync(file, 'title');
    await runCliOk(['deployment', 'pin', '--store', host.store.path, 'desktop/1']);
    expect(existsSync(half[0]!)).toBe(false);
    await host.load('desktop:latest', 2);
    await host.store.cliOk('upgrade');
    expect(host.entries().filter((name) => /^(\.new|imgboot-desktop-1[+.])/.test(name))).toEqual([
      'imgboot-desktop-1.conf',
    ]);
    expect(readFileSync(half[2]!, 'utf8')).toMatch(/^options root=/m);
  });

  it('an image is deployed, upgraded, gone back from and taken away, and the system is as it was', async () => {
    const before = await listing(path.join(host.boot, 'loader'));
    expect(host.bootedNext()).toBe('debian');
    expect(await host.deploy('desktop', '--append', 'quiet "a b"')).toContain(
      'desktop/1 is booted by default',
    );
    expect(host.bootedNext()).toBe('desktop/1');
    expect(host.entries()).toEqual([
      'debian.conf',
      'imgboot-desktop-1+3.conf',
      ...['fresh', 'persistent', 'previous', 'ram'].map((choice) => `imgboot-desktop-1-${choice}.conf`),
    ]);
    const entry = readFileSync(path.join(host.boot, 'loader/entries/imgboot-desktop-1+3.conf'), 'utf8');
    expect(entry).toMatch(
      /^options root=UUID=\S+ rootfstype=\S+ .*imgboot\.deployment=desktop\/1 .* quiet "a b"$/m,
    );
    host.bless('desktop/1');

    expect(await host.store.cliOk('upgrade')).toBe('desktop/1 has the newest desktop:latest.\n');
    await host.load('desktop:latest', 2);
    expect(await host.store.cliOk('upgrade', ['--check'])).toBe(
      'There is a newer desktop:latest than that of desktop/1.\n',
    );
    expect(await host.store.cliOk('upgrade')).toContain('desktop/2 is booted by default');
    expect(host.bootedNext()).toBe('desktop/2');
    expect(host.entries()).toContain('imgboot-desktop-1.conf');
    expect(host.deployments.deployments[0]!.versions[1]!.append).toEqual(['quiet "a b"']);
    expect(readFileSync(host.version('desktop/2', 'boot'), 'utf8')).toContain('\nprevious=desktop/1\n');

    expect(await host.store.cliOk('rollback')).toContain('desktop/1 is booted by default');
    expect(host.bootedNext()).toBe('desktop/1');
    // What was gone back from is not deployed again because it is there.
    expect(await host.store.cliOk('upgrade')).toBe('desktop/2 has the newest desktop:latest.\n');
    // The image of an older version has lost its name, and is kept.
    expect(await host.store.cliOk('prune')).toContain('Removed 0 images, 0 layers');
    expect((await host.store.cli('rmi', ['desktop'])).stderr).toContain('in use by the deployment desktop/2');
    expect(await host.store.fsck()).toEqual([]);

    expect(await host.store.cliOk('undeploy', ['desktop'])).toBe(
      'Removed: desktop/1\nRemoved: desktop/2\nNothing is deployed any more.\n',
    );
    const untimed = (lines: string[]): string[] =>
      lines.map((line) => line.replace(/ [0-9]+\.[0-9]+ /, ' ')).sort();
    expect(untimed(await listing(path.join(host.boot, 'loader')))).toEqual(untimed(before));
    expect(readdirSync(host.boot).sort()).toEqual(['loader', 'lost+found']);
    expect(readdirSync(path.join(host.store.path, 'deployments'))).toEqual([]);
  });

  it('where its top layer collides with the next image is told beforehand', async () => {
    const top = host.filesystem.directory('top');
    const [old, fresh] = [path.join(top, 'etc/old'), path.join(top, 'etc/fresh')];
    mkdirSync(path.dirname(old));
    for (const file of [old, fresh]) writeFileSync(file, '');
    chownSync(old, 4711, 0);
    const codes = (text: string): string[] =>
      (JSON.parse(text) as { collisions: Collisions }).collisions.findings.map(
        ({ level, code, path }) => `${level} ${code} ${path}`,
      );

    const first = await host.store.cli('deploy', ['desktop', '--boot-dir', host.boot, '--top-layer', top]);
    expect(first.stderr).toContain('warning: /etc/old: uid 4711 owns /etc/old, and no user has it');
    await host.load('desktop:latest', 2, { path: 'etc/fresh/', type: 'directory' });
    expect(codes(await host.store.cliOk('upgrade', ['--check', '--json']))).toEqual([
      'warning file-for-directory /etc/fresh',
    ]);
    const second = await host.store.cli('upgrade');
    expect(second.stderr).toContain(
      "warning: /etc/fresh: the image's directory /etc/fresh, with all that is in it",
    );
    expect(second.stderr).not.toContain('4711');
    expect(second.stdout).toContain('desktop/2 is booted by default');

    // What cannot be looked at is no reason not to deploy.
    await rm(top, { recursive: true });
    await host.load('desktop:latest', 3);
    const third = await host.store.cli('upgrade');
    expect(third.stderr).toMatch(
      /warning: the top layer was not checked against the image: .* is no directory there/,
    );
    expect(third.stdout).toContain('desktop/3 is booted by default');
    expect(await leftovers(host.store.path)).toEqual([]);
  });

  it('the newest are kept, with the good one, the default and what is pinned', async () => {
    await host.deploy('desktop');
    host.bless('desktop/1');
    await runCliOk(['deployment', 'pin', '--store', host.store.path, 'desktop/1']);
    for (const number of [2, 3, 4]) {
      await host.load('desktop:latest', number);
      await host.deploy('desktop');
    }
    expect(await host.versions()).toEqual(['desktop/1', 'desktop/3', 'desktop/4']);
    expect(host.strays()).toEqual([]);
    // The image of the one that is gone went with it.
    expect((await host.store.images()).length).toBe(3);
    expect(host.store.layers().length).toBe(3);
    await host.store.cliOk('rollback', ['desktop/3']);
    expect(host.bootedNext()).toBe('desktop/3');
    await host.load('desktop:latest', 5);
    await host.deploy('desktop', '--keep', '1');
    expect(await host.versions()).toEqual(['desktop/1', 'desktop/5']);
  });

  it('persistent directories are seeded once, outlive everything, and go by --purge', async () => {
    await host.load(
      'desktop:latest',
      2,
      { path: 'srv', type: 'directory', mode: 0o2750, uid: 7, gid: 8 },
      { path: 'srv/file', content: 'seed', uid: 9, xattrs: { 'user.note': 'kept' } },
      { path: 'data', type: 'symlink', link: 'srv' },
    );
    await host.deploy('desktop', '--persist', '/data,/none', '--persist', '/srv/');
    const kept = host.version('desktop', 'persist', '%2Fdata');
    const stats = statSync(kept);
    expect([stats.mode & 0o7777, stats.uid, stats.gid]).toEqual([0o2750, 7, 8]);
    expect(statSync(path.join(kept, 'file')).uid).toBe(9);
    expect(
      (await execa('getfattr', ['--only-values', '-n', 'user.note', path.join(kept, 'file')])).stdout,
    ).toBe('kept');
    expect(
      readdirSync(host.version('desktop', 'persist'))
        .filter((name) => !name.startsWith('.'))
        .sort(),
    ).toEqual(['%2Fdata', '%2Fnone', '%2Fsrv']);
    expect(readFileSync(host.version('desktop/1', 'boot'), 'utf8')).toContain(
      '\npersist=/data\npersist=/none\npersist=/srv\n',
    );
    writeFileSync(path.join(kept, 'file'), 'mine');
    await host.store.cliOk('switch', ['desktop:latest']);
    expect((await host.store.cli('undeploy', ['desktop'])).stderr).toContain('kept: /data, /none, /srv');
    await host.deploy('desktop', '--persist', '/data');
    expect(readFileSync(path.join(kept, 'file'), 'utf8')).toBe('mine');
    await host.store.cliOk('undeploy', ['desktop']);
    expect(await host.store.cliOk('undeploy', ['desktop', '--purge'])).toContain('Deleted: /data\n');
    expect(readdirSync(path.join(host.store.path, 'deployments'))).toEqual([]);
  });

  it('a store that is shown read-only is written to, and stays read-only for the others', async () => {
    await host.deploy('desktop');
    await host.load('desktop:latest', 2);
    const { path: store } = host.store;
    await execa('mount', ['--bind', store, store]);
    try {
      await execa('mount', ['-o', 'remount,bind,ro', store]);
      expect(await host.store.cliOk('upgrade')).toContain('desktop/2 is booted by default');
      expect((await execa('findmnt', ['-no', 'OPTIONS', store])).stdout).toMatch(/^ro,/);
      expect(await host.store.cliOk('status')).toMatch(/^desktop\/2 .* default$/m);
    } finally {
      await execa('umount', [store]);
    }
    expect(host.bootedNext()).toBe('desktop/2');
  });

  it("short names that a FAT without power left of ours are deleted, and nobody else's", async () => {
    await host.deploy('desktop');
    const entries = path.join(host.boot, 'loader/entries');
    for (const name of ['IMGBOO~8.CON', 'NEW-IM~1.CON', 'DEBIAN~1.CON'])
      writeFileSync(path.join(entries, name), '');
    mkdirSync(path.join(host.boot, 'imgboot/DESKTO~2'));
    writeFileSync(path.join(host.boot, 'imgboot/DESKTO~2/vmlinuz'), '');
    await runCliOk(['deployment', 'pin', '--store', host.store.path, 'desktop/1']);
    expect(host.entries().filter((name) => name.includes('~'))).toEqual(['DEBIAN~1.CON']);
    expect(readdirSync(path.join(host.boot, 'imgboot'))).toEqual(['desktop-1']);
  });

  it('a boot file system that is full is an error before anything is written', async () => {
    await host.deploy('desktop');
    await host.load('desktop:latest', 2);
    await leaveFree(host.boot, 3 * 2 ** 20, path.join(host.boot, 'ballast'));
    const before = await host.state();
    const { stderr, exitCode } = await host.store.cli('upgrade');
    expect(stderr).toMatch(
      /^imgboot: the boot loader's file system has [0-9]+ MB free, and kernel and initramfs need [0-9]+ MB$/m,
    );
    expect(exitCode).toBe(1);
    expect(await host.state()).toEqual(before);
    expect(host.strays()).toEqual([]);
  });

  it('a boot file system without room for a third gets it in place of the one that goes', async () => {
    await host.deploy('desktop');
    host.bless('desktop/1');
    await host.load('desktop:latest', 2);
    await host.deploy('desktop');
    host.bless('desktop/2');
    await host.load('desktop:latest', 3);
    await leaveFree(host.boot, 3 * 2 ** 20, path.join(host.boot, 'ballast'));
    expect(await host.store.cliOk('upgrade')).toContain('Removed: desktop/1');
    expect(await host.versions()).toEqual(['desktop/2', 'desktop/3']);
    expect([host.bootedNext(), host.strays()]).toEqual(['desktop/3', []]);
    // What the machine could go back to stays.
    await host.load('desktop:latest', 4);
    const before = await host.state();
    expect((await host.store.cli('upgrade')).stderr).toContain('and kernel and initramfs need');
    expect(await host.state()).toEqual(before);
  });

  it('a store that is full is an error before anything is written', async () => {
    await host.deploy('desktop');
    await host.load('desktop:latest', 2);
    const { stdout: free } = await execa('df', ['--output=avail', '-B1', host.store.path]);
    const ballast = path.join(host.filesystem.mountPoint, 'ballast');
    await execa(
      'dd',
      [
        'if=/dev/urandom',
        `of=${ballast}`,
        'bs=1M',
        `count=${Math.floor(Number(free.split('\n')[1]) / 2 ** 20)}`,
        'conv=fsync',
      ],
      { reject: false },
    );
    const before = await host.state();
    const { stderr } = await host.store.cli('upgrade');
    expect(stderr).toMatch(
      /^imgboot: .*(has [0-9]+ MB free, and a version of desktop needs [0-9]+ MB|does not fit)/m,
    );
    expect(await host.state()).toEqual(before);
    expect(host.strays()).toEqual([]);
  });

  it('two at once make two versions', async () => {
    await host.load('kiosk:latest', 2);
    await Promise.all([host.deploy('desktop'), host.deploy('desktop'), host.deploy('kiosk')]);
    expect((await host.versions()).sort()).toEqual(['desktop/1', 'desktop/2', 'kiosk/1']);
    expect(host.bootedNext()).toBe(host.deployments.default);
    expect(host.strays()).toEqual([]);
  });
});

describe('on ext4', () => {
  it('a disk that fills up under an upgrade is an error, and everything is as before', async () => {
    await using host = await DeployHost.create(drivers[1]);
    await host.load('desktop:latest', 1);
    await host.deploy('desktop');
    // More than the last version lets expect.
    await host.load('desktop:latest', 2, {
      path: 'boot/vmlinuz-1.0',
      content: Buffer.alloc(12 << 20, 'large'),
    });
    const { stdout: device } = await execa('findmnt', ['-no', 'SOURCE', host.filesystem.mountPoint]);
    await execa('tune2fs', ['-m', '0', device]);
    const ballast = path.join(host.filesystem.mountPoint, 'ballast');
    const before = await host.state();
    for (const freeMegabytes of [5, 7, 10]) {
      await leaveFree(host.filesystem.mountPoint, freeMegabytes * 2 ** 20, ballast);
      const { stderr, exitCode } = await host.store.cli('upgrade');
      expect(stderr).toMatch(/^imgboot: .* (does not fit|cannot write .*): /m);
      expect(exitCode).toBe(1);
      expect([await host.state(), host.strays(), host.bootedNext()]).toEqual([before, [], 'desktop/1']);
      await rm(ballast);
    }
    expect(await host.store.cliOk('upgrade')).toContain('desktop/2 is booted by default');
    expect(await host.store.fsck()).toEqual([]);
    await rm(host.version('desktop/1', 'initrd.img'));
    expect(await host.store.fsck()).toEqual([
      'deployment desktop/1: deployments/desktop/1/initrd.img is missing; deploy the image again',
    ]);
  });
});

describe('on btrfs', () => {
  it('a writable layer goes with the subvolumes in it, and a foreign one stays', async () => {
    await using host = await DeployHost.create(drivers[0]);
    await host.load('desktop:latest', 1);
    await host.deploy('desktop');
    const ours = host.version('desktop/1', 'ephemeral');
    createSubvolume(ours);
    mkdirSync(path.join(ours, 'var/lib'), { recursive: true });
    createSubvolume(path.join(ours, 'var/lib/machines'));
    const { stdout: mark } = await execa('stat', ['-f', '-c', '%i', ours]);
    mkdirSync(host.version('desktop/1', 'made', mark, '0123456789abcdef', 'base.aa.11'), { recursive: true });
    const foreign = host.version('desktop/1', 'foreign');
    createSubvolume(foreign);
    writeFileSync(path.join(foreign, 'precious'), '');
    const uuid = subvolumeUuid(foreign);
    await host.load('kiosk:latest', 2);
    await host.deploy('kiosk');
    await host.store.cliOk('undeploy', ['desktop']);
    const left = host.version('desktop/.gone.1');
    expect(readdirSync(left).sort()).toEqual(['foreign', 'made']);
    expect(readdirSync(path.join(left, 'foreign'))).toEqual(['precious']);
    expect(subvolumeUuid(path.join(left, 'foreign'))).toBe(uuid);
    // Where nothing foreign is left, the marks go, too.
    deleteSubvolume(foreign.replace('desktop/1', 'desktop/.gone.1'));
    await host.store.cliOk('undeploy', ['kiosk']);
    expect(readdirSync(path.join(host.store.path, 'deployments'))).toEqual([]);
  });
});

describe('from a registry', () => {
  it('a reference is looked up, pulled and deployed', async () => {
    await using server = await registry();
    await using host = await DeployHost.create(drivers[1]);
    const reference = `${server.address}/desktop:stable`;
    const plain = ['--no-tls-verify'];
    const push = async (number: number): Promise<void> => {
      await host.load('new:1', number);
      await host.store.cliOk('push', ['new:1', `docker://${reference}`, ...plain]);
    };
    await push(1);
    await host.store.cliOk('pull', [reference, ...plain]);
    await host.deploy(reference);
    expect(await host.store.cliOk('upgrade', ['--check', ...plain])).toBe(
      `desktop/1 has the newest ${reference}.\n`,
    );
    await push(2);
    expect(await host.store.cliOk('upgrade', ['--check', ...plain])).toContain('There is a newer');
    expect(await host.store.cliOk('upgrade', plain)).toContain('desktop/2 is booted by default');
    expect(await host.store.read(reference, ['etc/number'])).toEqual(['2']);
    await server[Symbol.asyncDispose]();
    const before = await host.state();
    expect((await host.store.cli('upgrade', plain)).stderr).toContain(
      `imgboot: cannot look at docker://${reference}: `,
    );
    expect(await host.state()).toEqual(before);
  });
});

describe('wrong input changes nothing:', () => {
  let host: DeployHost;
  let before: string[];
  beforeAll(async () => {
    host = await DeployHost.create(drivers[1]);
    await host.load('desktop:latest', 1);
    before = await host.state();
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  it.each([
    ['a name with a slash', ['desktop', '--name', 'a/b'], 'not a name for a deployment: "a/b"', 2],
    [
      'a name with a newline',
      ['desktop', '--name', 'a\nb'],
      String.raw`not a name for a deployment: "a\nb"`,
      2,
    ],
    ['a name in capitals', ['desktop', '--name', 'Desktop'], 'not a name for a deployment: "Desktop"', 2],
    ['an image that is not there', ['nothing'], 'has no image nothing', 1],
    ['a kernel command line of two lines', ['desktop', '--append', 'a\nb'], 'not printable ASCII', 2],
    ['a persistent root', ['desktop', '--persist', '/'], 'cannot keep "/" over upgrades', 2],
    [
      'a relative persistent directory',
      ['desktop', '--persist', 'home'],
      'cannot keep "home" over upgrades',
      2,
    ],
    [
      'a persistent directory above',
      ['desktop', '--persist', '/a/../b'],
      'cannot keep "/a/../b" over upgrades',
      2,
    ],
    [
      'a persistent file',
      ['desktop', '--persist', '/etc/number'],
      '/etc/number of the image is no directory',
      2,
    ],
    ['a kind of writable layer', ['desktop', '--writable', 'rom'], 'not a kind of writable layer: "rom"', 2],
    ['a loader', ['desktop', '--loader', 'lilo'], 'Expected --loader=lilo to be one of', 2],
    [
      'a top layer',
      ['desktop', '--top-layer', '/nowhere'],
      'there is no directory /nowhere for a top layer',
      2,
    ],
  ])('%s', async (_, args, message, status) => {
    const { stderr, exitCode } = await host.store.cli('deploy', [...args, '--boot-dir', host.boot]);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(status);
    expect(await host.state()).toEqual(before);
  });

  it.each([
    ['without a kernel', { path: 'etc/x' }, /^imgboot: there is no kernel: /m],
    [
      'with modules only',
      { path: 'lib/modules/1.0/modules.dep' },
      /^imgboot: .* has the modules of kernel 1\.0, but no/m,
    ],
  ])('an image %s', async (_, entry, message) => {
    await host.store.load(host.filesystem.layout({ name: 'plain:latest', layers: [tar(entry)] }));
    const { stderr, exitCode } = await host.store.cli('deploy', ['plain', '--boot-dir', host.boot]);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
    expect(await host.state()).toEqual(before);
  });

  it('a directory without a loader, and a store on a tmpfs', async () => {
    const empty = host.filesystem.directory();
    expect((await host.store.cli('deploy', ['desktop', '--boot-dir', empty])).stderr).toContain(
      `there is no boot loader in ${empty}`,
    );
    const store = path.join('/dev/shm', `imgboot-test-${process.pid}`);
    try {
      const layout = host.filesystem.layout({ name: 'desktop:latest', layers: [bootableLayer(1)] });
      await runCli(['load', '--store', store, '-i', layout]);
      const { stderr } = await runCli(['deploy', '--store', store, 'desktop', '--boot-dir', host.boot]);
      expect(stderr).toContain(`${store} is on tmpfs, which no machine can be booted from`);
    } finally {
      await execa('rm', ['-rf', store]);
    }
    expect(await host.state()).toEqual(before);
  });

  it('where nothing is deployed, there is nothing to change', async () => {
    for (const verb of ['upgrade', 'rollback'])
      expect((await host.store.cli(verb)).stderr).toContain('imgboot: nothing is deployed');
    expect((await host.store.cli('undeploy', ['desktop'])).stderr).toContain('imgboot: nothing is deployed');
    expect((await host.store.cli('switch', ['desktop'])).stderr).toContain('imgboot: nothing is deployed');
    expect((await runCli(['bless'])).stderr).toContain('this system is no deployment');
  });
});

it('an XBOOTLDR partition gets kernels and entries, and the ESP beside it the default', async () => {
  await using filesystem = await storeFilesystem(drivers[1]);
  const store = filesystem.store();
  await store.load(filesystem.layout({ name: 'desktop:latest', layers: [bootableLayer(1)] }));
  const disk = filesystem.fresh('disk');
  await execa('truncate', ['-s', '192M', disk]);
  await execa('sfdisk', ['--quiet', disk], {
    input:
      'label: gpt\nsize=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\ntype=BC13C2FF-59E6-4262-A352-B275FD6F7172\n',
  });
  const { stdout: device } = await execa('losetup', ['--find', '--show', disk]);
  try {
    await execa('partx', ['--add', device]);
    for (const part of [1, 2]) await execa('mkfs.ext4', ['-q', `${device}p${part}`]);
    // As systemd's own tools mount them, where nobody else sees it.
    const places = `mount "$1"p2 /boot; mkdir -p /boot/efi; mount "$1"p1 /boot/efi
      [ -e /boot/efi/loader ] || { mkdir /boot/efi/loader; echo timeout 3 > /boot/efi/loader/loader.conf; }
      shift; "$@" >&2; cat /boot/efi/loader/loader.conf; cd /boot; find loader imgboot -type f | sort; ls efi`;
    const isolated = ['--mount', '--propagation', 'private', 'sh', '-euc', places, 'sh', device];
    const run = async (...words: string[]): Promise<string[]> => {
      const command = [path.join(repository, 'bin/imgboot'), ...words, '--store', store.path];
      return (await execa('unshare', [...isolated, ...command])).stdout.split('\n');
    };
    const choices = ['fresh', 'persistent', 'previous', 'ram'].map(
      (name) => `loader/entries/imgboot-desktop-1-${name}.conf`,
    );
    const kernels = ['imgboot/desktop-1/initrd.img', 'imgboot/desktop-1/vmlinuz'];
    expect(await run('deploy', 'desktop')).toEqual([
      'timeout 3',
      '# BEGIN imgboot',
      'default imgboot-*[0-9].conf',
      '# END imgboot',
      ...kernels,
      'loader/entries/imgboot-desktop-1+3.conf',
      ...choices,
      'loader',
      'lost+found',
    ]);
    expect(await run('undeploy', 'desktop')).toEqual(['timeout 3', 'loader', 'lost+found']);
    expect(await run('deploy', 'desktop', '--boot-dir', '/boot')).toContain('default imgboot-*[0-9].conf');
  } finally {
    await execa('partx', ['--delete', device]);
    await execa('losetup', ['--detach', device]);
  }
});

describe("the loader's files", () => {
  let filesystem: StoreFilesystem;
  beforeAll(async () => {
    filesystem = await storeFilesystem(drivers[1]);
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  type Check = (at: (name: string) => string, read: (name: string) => string) => Promise<void> | void;
  const words = String.raw`a="b $c" (d) {e}; f#g & \h'i`;

  it.each<[LoaderName, string, string, Record<string, string>, Check]>([
    [
      'systemd-boot',
      '/loader',
      words,
      { 'loader.conf': 'default debian.conf\n', 'entries/debian.conf': 'title Debian\n' },
      (_, read) => {
        expect(read('entries/imgboot-desktop-2+3.conf')).toMatch(
          /^options .* a="b \$c" \(d\) \{e\}; f#g & \\h'i$/m,
        );
        expect(read('loader.conf')).toMatch(/\ndefault imgboot-\*\[0-9\]\.conf\n/);
      },
    ],
    [
      'grub',
      '/grub',
      'a="b $c" (d) {e}; f#g &',
      { 'grub.cfg': 'set timeout=5\n', 'custom.cfg': 'set color_normal=white/black\n' },
      async (at, read) => {
        for (const file of ['imgboot.cfg', 'custom.cfg']) await execa('grub-script-check', [at(file)]);
        expect(read('imgboot.cfg')).toMatch(/ 'a=b \$c' '\(d\)' '\{e\};' 'f#g' '&'$/m);
        const list = await execa('grub-editenv', [at('imgboot.env'), 'list']);
        expect(list.stdout).toBe('imgboot_trying=desktop/2\nimgboot_tries=3');
      },
    ],
    [
      'refind',
      '/EFI/refind',
      words,
      { 'refind.conf': 'timeout 20\nscanfor internal,external\ndefault_selection Debian\n' },
      (_, read) => {
        expect(read('imgboot.conf')).toMatch(/^ {4}options "root=.* a=""b \$c"" \(d\) \{e\}; f#g & \\h'i"$/m);
        expect(read('refind.conf')).toMatch(/\nscanfor internal,external,manual\ninclude imgboot.conf\n/);
      },
    ],
    [
      'extlinux',
      '/extlinux',
      words,
      { 'extlinux.conf': 'DEFAULT vesamenu.c32\nLABEL debian\n  LINUX /vmlinuz\n' },
      (_, read) => {
        expect(read('imgboot.conf')).toMatch(/^ {2}APPEND root=.* a="b \$c" \(d\) \{e\}; f#g & \\h'i$/m);
        expect(read('extlinux.conf')).toMatch(/\nUI vesamenu\.c32\nINCLUDE imgboot.conf\n/);
      },
    ],
  ])(
    'of %s are whole, and as before when nothing is deployed',
    async (loader, directory, append, files, check) => {
      await using boot = await TemporaryDirectory.create();
      for (const [name, content] of Object.entries(files)) {
        const file = path.join(boot.path, directory, name);
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, content);
      }
      const read = (name: string): string => readFileSync(path.join(boot.path, directory, name), 'utf8');
      const test = filesystem.store();
      await test.load(filesystem.layout({ name: 'desktop:latest', layers: [bootableLayer(1)] }));
      const request = stagedRequest(boot.path, { reference: 'desktop', loader, directory, append: [append] });
      await deployImage(test.store, request);
      await deployImage(test.store, request);
      await check((name) => path.join(boot.path, directory, name), read);
      await undeploy(test.store, { name: 'desktop', purge: false, bootDirectory: boot.path });
      const { stdout } = await execa('find', [boot.path, '-type', 'f', '-printf', '%P\n']);
      expect(stdout.split('\n').sort()).toEqual(
        Object.keys(files)
          .map((name) => path.join(directory, name).slice(1))
          .sort(),
      );
      for (const [name, content] of Object.entries(files)) expect(read(name)).toBe(content);
    },
  );
});

/** Fills a file system up to so many bytes. */
async function leaveFree(filesystem: string, bytes: number, ballast: string): Promise<void> {
  const { stdout } = await execa('df', ['--output=avail', '-B1', filesystem]);
  await execa('fallocate', ['-l', String(Number(stdout.split('\n')[1]) - bytes), ballast]);
}
