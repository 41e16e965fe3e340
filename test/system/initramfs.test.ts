import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bookwormTar } from '../support/fixtures.ts';
import { repository } from '../support/paths.ts';
import { runCli, runCliAsNobody, runCliOk } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** The initramfs of a real Debian, held against GNU cpio, kmod and readelf. */
describe('mkinitramfs', () => {
  let work: TemporaryDirectory;
  let root: string;
  let kver: string;

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    await chmod(work.path, 0o755);
    root = path.join(work.path, 'root');
    await mkdir(root);
    await execa('tar', ['-xf', await bookwormTar(), '-C', root]);
    kver = (await readdir(path.join(root, 'usr/lib/modules')))[0]!;
  });
  afterAll(async () => await work[Symbol.asyncDispose]());

  /** Makes one and unpacks it with GNU cpio. */
  async function unpacked(...flags: string[]): Promise<{ image: string; tree: string }> {
    const name = flags.join('').replaceAll(/\W/g, '');
    const [image, tree] = [path.join(work.path, `${name}.img`), path.join(work.path, name)];
    await runCliOk(['mkinitramfs', '--root', root, '-o', image, ...flags]);
    await mkdir(tree, { recursive: true });
    await execa('sh', ['-c', 'zstd -dc "$1" | cpio -i -d --quiet', 'sh', image], { cwd: tree });
    return { image, tree };
  }

  async function modulesIn(tree: string): Promise<string[]> {
    const names = await readdir(path.join(tree, 'usr/lib/modules', kver), { recursive: true });
    return names.filter((name) => name.endsWith('.ko')).sort();
  }

  it('packs universal modules as they are, signatures and all', async () => {
    const { tree } = await unpacked('--modules', 'universal');
    const modules = await modulesIn(tree);
    expect(modules.length).toBeGreaterThan(200);
    for (const name of modules) {
      const [ours, theirs] = await Promise.all(
        [tree, root].map((top) => readFile(path.join(top, 'usr/lib/modules', kver, name))),
      );
      expect({ name, same: ours!.equals(theirs!) }).toEqual({ name, same: true });
    }
  });

  it('brings what modprobe would load, in an order that it would load in', async () => {
    const { tree } = await unpacked('--modules', 'universal');
    const top = `/lib/modules/${kver}/`;
    const lines = (await readFile(path.join(tree, 'etc/imgboot/modules.load'), 'utf8')).trim().split('\n');
    const sequences = lines.filter((line) => line.includes(' ')).map((line) => line.split(' '));
    expect(sequences.length).toBeGreaterThan(200);
    for (const [name, ...files] of sequences) {
      const { stdout } = await execa('modprobe', ['-d', root, '-S', kver, '-C', '/dev/null', '-D', name!]);
      // What the running kernel has built in, modprobe does not name: ours has at least what it names.
      const theirs = stdout
        .split('\n')
        .flatMap((line) => /^insmod \S*(\/lib\/modules\S+)/.exec(line)?.[1] ?? []);
      expect({ name, files }).toEqual({ name, files: expect.arrayContaining(theirs) as string[] });
    }
    const dep = await readFile(path.join(tree, 'usr/lib/modules', kver, 'modules.dep'), 'utf8');
    const needs = new Map(
      dep
        .trim()
        .split('\n')
        .map((line) => [top + line.split(':')[0]!, line.split(': ')[1]?.split(' ') ?? []]),
    );
    for (const [, ...files] of sequences) {
      for (const [at, file] of files.entries()) {
        const before = files.slice(0, at);
        expect({ file, before }).toEqual({
          file,
          before: expect.arrayContaining(needs.get(file)!.map((one) => top + one)) as string[],
        });
      }
    }
  });

  it('strips the modules of the virtio set without changing what is loaded of them', async () => {
    const { image, tree } = await unpacked('--modules', 'virtio');
    const sections = async (file: string): Promise<string[]> => {
      const { stdout, stderr } = await execa('readelf', ['--section-details', '--wide', file], {
        env: { LC_ALL: 'C' },
      });
      expect(stderr).toBe('');
      return [...stdout.matchAll(/^ *\[ *\d+\] (\S+)$/gm)].map((match) => match[1]!);
    };
    for (const name of await modulesIn(tree)) {
      const [ours, theirs] = [tree, root].map((top) => path.join(top, 'usr/lib/modules', kver, name));
      const names = await sections(ours!);
      expect(names).toContain('.modinfo');
      expect({ name, names }).toEqual({ name, names: await sections(theirs!) });
      for (const what of ['--symbols', '--relocs']) {
        const [mine, original] = await Promise.all(
          [ours!, theirs!].map(async (file) => (await execa('readelf', [what, '--wide', file])).stdout),
        );
        // Only where a section lies in the file differs.
        expect(`${name} ${withoutOffsets(mine!)}`).toBe(`${name} ${withoutOffsets(original!)}`);
      }
      expect((await readFile(ours!)).includes('~Module signature appended~')).toBe(false);
    }
    expect((await readFile(image)).length).toBeLessThan(6_500_000);
  });

  it('has 5 MB for a btrfs root on virtio', async () => {
    const { image, tree } = await unpacked('--modules', 'virtio', '--fs', 'btrfs');
    const modules = (await modulesIn(tree)).map((name) => path.basename(name));
    expect(modules).toContain('btrfs.ko');
    expect(modules).not.toContain('xfs.ko');
    expect((await readFile(image)).length).toBeLessThan(5_000_000);
  });

  it("serves this machine, by its modaliases and root, with the target kernel's own modules", async () => {
    const profile = path.join(work.path, 'host.json');
    await runCliOk(['profile', 'record', '-o', profile]);
    const recorded = JSON.parse(await readFile(profile, 'utf8')) as {
      modaliases: Record<string, string | null>;
      root: { filesystems: string[] };
    };
    expect(Object.keys(recorded.modaliases).length).toBeGreaterThan(0);
    const { tree, image } = await unpacked('--modules', 'host', '--fs', 'btrfs');
    const modules = (await modulesIn(tree)).map((name) => path.basename(name, '.ko'));
    expect(modules).toEqual(expect.arrayContaining(['btrfs', 'overlay']));
    // kmod says what this hardware wants of the target's kernel; the network is not for an initramfs.
    const aliases = Object.keys(recorded.modaliases);
    const { stdout } = await execa(
      'modprobe',
      ['-d', root, '-S', kver, '-C', '/dev/null', '-a', '-R', ...aliases],
      {
        reject: false,
      },
    );
    const wanted = new Set(stdout.split('\n').map((name) => name.replaceAll('-', '_')));
    const universal = await modulesIn((await unpacked('--modules', 'universal')).tree);
    const expected = universal
      .map((name) => path.basename(name, '.ko'))
      .filter((name) => wanted.has(name.replaceAll('-', '_')));
    expect(modules).toEqual(expect.arrayContaining(expected));
    // The same from the profile as from the machine.
    const recordedImage = path.join(work.path, 'recorded.img');
    const flags = ['--modules', `profile:${profile}`, '--fs', 'btrfs'];
    await runCliOk(['mkinitramfs', '--root', root, '-o', recordedImage, ...flags]);
    expect((await readFile(recordedImage)).equals(await readFile(image))).toBe(true);
  });

  it('records a machine without saying which it is, joins several, and checks an image against them', async () => {
    const [mine, other, fleet] = ['mine', 'other', 'fleet'].map((name) =>
      path.join(work.path, `${name}.json`),
    );
    await runCliOk(['profile', 'record', '-o', mine!]);
    const text = await readFile(mine!, 'utf8');
    const script = 'cat /sys/class/net/*/address /etc/machine-id; blkid -s UUID -o value; exit 0';
    const identities = (await execa('sh', ['-c', script], { reject: false })).stdout.split('\n');
    // Loopback's address is everybody's.
    const telling = identities.filter((word) => word.length > 3 && !/^[0:]+$/.test(word));
    expect(telling.filter((word) => text.includes(word))).toEqual([]);
    const profile = {
      version: 1,
      modaliases: { 'pci:v0000FFFFd00000001': 'warp_drive', 'acpi:NOTHING:': null },
      firmware: ['warp/core.bin'],
      root: { filesystems: ['zfs'], layers: ['dm-crypt'] },
    };
    await writeFile(other!, JSON.stringify(profile));
    await runCliOk(['profile', 'join', mine!, other!, '-o', fleet!]);
    const joined = JSON.parse(await readFile(fleet!, 'utf8')) as typeof profile;
    expect(joined.modaliases).toMatchObject(profile.modaliases);
    expect(joined.modaliases).toMatchObject((JSON.parse(text) as typeof profile).modaliases);
    const { exitCode, stdout } = await runCli(['profile', 'check', '--root', root, '--profile', other!]);
    expect(exitCode).toBe(1);
    expect(stdout).toBe(
      [
        `the machine's root lies on zfs, which the kernel ${kver} does not have`,
        `the kernel ${kver} has no driver for pci:v0000FFFFd00000001, which warp_drive serves on the machine`,
        'firmware warp/core.bin is not in the image',
        '',
      ].join('\n'),
    );
    await writeFile(other!, '{"version": 1}');
    const bad = await runCli(['profile', 'check', '--root', root, '--profile', other!]);
    expect(bad.exitCode).toBe(1);
    expect(bad.stderr).toContain('other.json is no profile of a machine');
  });

  it('is the same bytes whatever the directory, umask, locale, time zone and order of files', async () => {
    const other = path.join(work.path, 'elsewhere', 'root');
    await mkdir(other, { recursive: true });
    // Directories list their files in the order they came: here, the other way round.
    const script = `cd "$1" && find . -depth -print0 | LC_ALL=C sort -z -r | cpio -0 -o -H newc --quiet | (cd "$2" && cpio -i -d -m --quiet)`;
    await execa('sh', ['-c', script, 'sh', root, other]);
    const images = [path.join(work.path, 'same.img'), path.join(work.path, 'elsewhere', 'other.img')];
    await runCliOk(['mkinitramfs', '--root', root, '-o', images[0]!], {
      env: { LC_ALL: 'C', TZ: 'UTC', SOURCE_DATE_EPOCH: '1700000000' },
    });
    const made = ['-c', 'umask 077 && cd / && exec "$@"', 'sh', path.join(repository, 'bin/imgboot')];
    await execa('sh', [...made, 'mkinitramfs', '--root', other, '-o', images[1]!], {
      env: { LC_ALL: 'C.UTF-8', TZ: 'Asia/Tokyo', SOURCE_DATE_EPOCH: '1700000000' },
    });
    const [mine, theirs] = await Promise.all(images.map((image) => readFile(image)));
    expect(mine!.equals(theirs!)).toBe(true);
    expect(await runCliOk(['lsinitramfs', '--explain', images[0]!])).toContain('module btrfs');
  });

  it('has programs whose libraries are all there', async () => {
    const { tree } = await unpacked('--modules', 'virtio');
    for (const program of ['blkid', 'btrfs', 'tar']) {
      const { stdout } = await execa('chroot', [tree, `/usr/bin/${program}`, '--version']);
      expect(stdout).toMatch({ blkid: /util-linux/, btrfs: /btrfs-progs/, tar: /GNU tar/ }[program]!);
    }
    expect((await execa('chroot', [tree, '/bin/sh', '-c', 'echo it runs'])).stdout).toBe('it runs');
    const { stdout } = await execa('find', [tree, '-xtype', 'l']);
    expect(stdout).toBe('');
  });

  it('is listed as GNU cpio lists it', async () => {
    const image = path.join(work.path, 'listed.img');
    await runCliOk(['mkinitramfs', '--root', root, '--modules', 'virtio', '-o', image]);
    const cpio = async (flags: string): Promise<string> =>
      (await execa('sh', ['-c', 'zstd -dc "$1" | cpio "$2" --quiet', 'sh', image, flags])).stdout;
    expect(await runCliOk(['lsinitramfs', image])).toBe(`${await cpio('-t')}\n`);
    expect(await runCliOk(['lsinitramfs', '--long', image])).toBe(`${await cpio('-tv')}\n`);
    const listing = JSON.parse(await runCliOk(['lsinitramfs', '--json', image])) as {
      formats: string[];
      members: { name: string; uid: number; gid: number; mtimeSeconds: number }[];
    };
    expect(listing.formats).toEqual(['zstd']);
    expect(listing.members.filter(({ uid, gid, mtimeSeconds }) => uid + gid + mtimeSeconds !== 0)).toEqual(
      [],
    );
  });

  it('lists what initramfs-tools made, behind its early archive', async () => {
    const theirs = (await readdir(path.join(root, 'boot'))).find((name) => name.startsWith('initrd.img'));
    const names = await runCliOk(['lsinitramfs', path.join(root, 'boot', theirs!)]);
    expect(names).toContain('scripts/local');
  });

  it('gives a user without privileges the same bytes', async () => {
    const [mine, theirs] = [path.join(work.path, 'mine.img'), path.join(work.path, 'nobody', 'theirs.img')];
    await mkdir(path.dirname(theirs));
    await chmod(path.dirname(theirs), 0o777);
    await runCliOk(['mkinitramfs', '--root', root, '-o', mine]);
    const { exitCode, stderr } = await runCliAsNobody(['mkinitramfs', '--root', root, '-o', theirs]);
    expect(stderr).not.toContain('imgboot:');
    expect(exitCode).toBe(0);
    expect((await readFile(theirs)).equals(await readFile(mine))).toBe(true);
  });

  it('names the file that it may not read, and leaves the old output', async () => {
    const home = path.join(work.path, 'unreadable');
    await mkdir(home);
    await chmod(home, 0o777);
    const image = path.join(home, 'initrd.img');
    await writeFile(image, 'old');
    await chmod(image, 0o666);
    const module = path.join(root, 'usr/lib/modules', kver, 'kernel/fs/btrfs/btrfs.ko');
    await chmod(module, 0o600);
    try {
      const { exitCode, stderr } = await runCliAsNobody(['mkinitramfs', '--root', root, '-o', image]);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /cannot read \/usr\/lib\/modules\/\S+\/kernel\/fs\/btrfs\/btrfs\.ko in \S+: EACCES/,
      );
      expect(stderr).toContain('run it as root, or make the file readable');
    } finally {
      await chmod(module, 0o644);
    }
    expect(await readFile(image, 'utf8')).toBe('old');
    expect(await readdir(home)).toEqual(['initrd.img']);
  });

  it('shows, unpacks and explains what it made', async () => {
    const image = path.join(work.path, 'shown.img');
    const made = await runCliOk([
      'mkinitramfs',
      '--root',
      root,
      '--modules',
      'virtio',
      '-o',
      image,
      '--explain',
    ]);
    expect(made).toMatch(/^SIZE +SHARE +FILES +WHAT FOR$/m);
    expect(made).toMatch(/^\S+ MB +\d+ % +\d+ +module xfs$/m);
    expect(await runCliOk(['lsinitramfs', image, '--cat', 'etc/imgboot/initramfs.conf'])).toContain(
      `kver=${kver}`,
    );
    expect(await runCliOk(['lsinitramfs', image, '--tree'])).toMatch(/^│ {3}│ {3}├── blkid/m);
    const [ours, theirs] = [path.join(work.path, 'ours'), path.join(work.path, 'theirs')];
    await runCliOk(['lsinitramfs', image, '--unpack', ours]);
    await mkdir(theirs);
    await execa('sh', ['-c', 'zstd -dc "$1" | cpio -i -d -m --quiet', 'sh', image], { cwd: theirs });
    // diff calls any two devices different.
    const diff = await execa('diff', ['-r', '--no-dereference', '--exclude=console', ours, theirs]);
    expect(diff.stdout).toBe('');
    const { stdout } = await execa('stat', ['-c', '%F %t,%T %a', path.join(ours, 'dev/console')]);
    expect(stdout).toBe('character special file 5,1 600');
    const again = await runCliOk([
      'mkinitramfs',
      '--root',
      root,
      '--modules',
      'virtio',
      '-o',
      image,
      '--compare',
      image,
    ]);
    expect(again).toContain('0 new (0 B), 0 gone (0 B), 0 changed (+0 B)');
  });

  it('fails where it would be too large, and names what to omit', async () => {
    const image = path.join(work.path, 'limited.img');
    await writeFile(image, 'old');
    const flags = ['--modules', 'virtio', '-o', image];
    const { exitCode, stderr } = await runCli(['mkinitramfs', '--root', root, '--max-size', '3M', ...flags]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/would have \d\.\d MB, and --max-size allows 3\.1 MB/);
    expect(stderr).toMatch(/--omit (xfs|btrfs) \(\d\.\d MB\), --omit (xfs|btrfs) \(\d\.\d MB\)/);
    expect(await readFile(image, 'utf8')).toBe('old');
    await runCliOk(['mkinitramfs', '--root', root, '--max-size', '40M', ...flags]);
  });

  it('reports in JSON what it made', async () => {
    const image = path.join(work.path, 'json.img');
    const report = JSON.parse(
      await runCliOk(['mkinitramfs', '--root', root, '--modules', 'virtio', '-o', image, '--json']),
    ) as object;
    expect(report).toMatchObject({
      kver,
      kernel: `/boot/vmlinuz-${kver}`,
      sizeBytes: (await readFile(image)).length,
      origin: { programs: 'image', busybox: 'image' },
    });
  });

  it('keeps the old file when the disk is full, and leaves nothing half-written', async () => {
    const mountPoint = path.join(work.path, 'small');
    await mkdir(mountPoint);
    const script = `mount -t tmpfs -o size=2m small "$1" && echo old > "$1/initrd.img" &&
      "$2" mkinitramfs --root "$3" -o "$1/initrd.img"; echo "status $?"; cat "$1/initrd.img"; ls -A "$1"`;
    const inside = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
    const parameters = [mountPoint, path.join(repository, 'bin/imgboot'), root];
    const { stdout, stderr } = await execa('unshare', [...inside, ...parameters]);
    expect(stdout).toBe('status 1\nold\ninitrd.img');
    expect(stderr).toContain(`cannot write ${mountPoint}/initrd.img: ENOSPC`);
    expect(stderr).toContain('free some space there');
  });

  it('leaves the old file when it is killed at any point', async () => {
    const directory = path.join(work.path, 'killed');
    await mkdir(directory);
    const image = path.join(directory, 'initrd.img');
    await writeFile(image, 'old');
    for (let delayMs = 50; delayMs < 500; delayMs += 50) {
      const controller = new AbortController();
      const made = execa(path.join(repository, 'bin/imgboot'), ['mkinitramfs', '--root', root, '-o', image], {
        cancelSignal: controller.signal,
        killSignal: 'SIGKILL',
        reject: false,
      });
      await sleep(delayMs);
      controller.abort();
      await made;
      const whole = await execa('zstd', ['--test', '--quiet', image], { reject: false });
      expect(whole.exitCode === 0 ? 'new' : await readFile(image, 'utf8')).toMatch(/^(new|old)$/);
      await writeFile(image, 'old');
    }
    await runCliOk(['mkinitramfs', '--root', root, '-o', image]);
    expect(await readdir(directory)).toEqual(['initrd.img']);
  });

  it.each([
    [['--root', 'ROOT', '-o', '/no/such/directory/x'], 1, 'IMGBOOT_CANNOT_WRITE'],
    [['--root', 'ROOT', '-o', 'OUT', '--kver', '1.2.3'], 1, 'IMGBOOT_NO_SUCH_KERNEL'],
    [['--root', 'ROOT', '-o', 'OUT', '--modules', 'warp_drive'], 1, 'IMGBOOT_NO_SUCH_MODULE'],
    [['--root', 'ROOT', '-o', 'OUT', '--compress', 'rar'], 2, 'IMGBOOT_USAGE'],
    [['-o', 'OUT'], 2, 'IMGBOOT_USAGE'],
    [['--root', '/usr/share', '-o', 'OUT'], 1, 'IMGBOOT_NO_KERNEL'],
  ])('ends %j with status %i and %s', async (args, status, code) => {
    const out = path.join(work.path, 'none.img');
    const given = args.map((word) => word.replace('ROOT', root).replace('OUT', out));
    const { exitCode, stdout, stderr } = await runCli(['mkinitramfs', ...given, '--json']);
    expect(exitCode).toBe(status);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code } });
    expect(stderr).not.toContain('    at ');
    await rm(out, { force: true });
  });
});

function withoutOffsets(readelf: string): string {
  return readelf.replaceAll(/at offset 0x[0-9a-f]+/g, '');
}
