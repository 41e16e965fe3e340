import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { encodeReference } from '../../src/image/reference.ts';
import { hookLibrary, hookShells } from '../support/hook-shells.ts';
import { repository } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** What a generator provides, for a boot that is not one. */
const port = `
host_info() { :; }
host_warn() { printf 'warning: %s\\n' "$1" >&2; }
host_die() { printf '%s\\n' "$1" >&2; exit 3; }
host_load_hardware() { :; }
host_load_module() { :; }
host_break() { :; }
`;

describe.each(Object.entries(hookShells))('the hooks hookLibrary under %s', (_, shell) => {
  let work: TemporaryDirectory;
  beforeAll(async () => {
    work = await TemporaryDirectory.create();
  });
  afterAll(async () => work[Symbol.asyncDispose]());

  /** Runs a script with the hookLibrary loaded; `$1`.. are the arguments, byte for byte. */
  async function run(
    script: string,
    ...args: string[]
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const text = `set -u; imgboot_run=.; imgboot_work=work; imgboot_lib=$1; shift; ${port} . "$imgboot_lib/imgboot.sh"\n${script}`;
    const { stdout, stderr, exitCode } = await execa(
      shell[0]!,
      [...shell.slice(1), '-c', text, 'sh', hookLibrary, ...args],
      {
        cwd: work.path,
        env: { LC_ALL: 'C' },
        reject: false,
        stripFinalNewline: false,
      },
    );
    return { stdout, stderr, exitCode: exitCode! };
  }
  const reply = async (call: string, ...args: string[]): Promise<string> =>
    (await run(`${call}; printf '%s' "$imgboot_reply"`, ...args)).stdout;

  it('a reference has the same file name as the store gives it', async () => {
    for (const reference of [
      'debian:bookworm',
      'docker.io/library/x:latest',
      'localhost:5000/a_b-c.d/e:1',
      `a@sha256:${'0'.repeat(64)}`,
      'what ever+ö',
    ]) {
      expect(await reply('imgboot_percent_encode "$1"', reference)).toBe(encodeReference(reference));
    }
  });

  it('a JSON string is what JSON.parse reads back', async () => {
    for (const text of [
      'plain',
      '',
      'a "quoted" \\ back',
      'tab\tline\nbell\u0007',
      '$(id) `id` $HOME',
      'ö €',
    ]) {
      expect(JSON.parse(await reply('imgboot_json_string "$1"', text))).toBe(text);
    }
  });

  it('what is shown on the console has no control characters', async () => {
    expect(await reply('imgboot_printable "$1"', 'a\u001b[31m\nb')).toBe('a?[31m?b');
  });

  it("a label in udev's encoding is decoded", async () => {
    expect(await reply('imgboot_udev_decode "$1"', 'my\\x20disk\\x2f1')).toBe('my disk/1');
  });

  describe('reads the kernel command line:', () => {
    const parse = async (line: string, ...names: string[]): Promise<string[]> => {
      const show = names.map((name) => `printf '%s|' "$imgboot_${name}"`).join('; ');
      return (await run(`imgboot_parse_cmdline "$1"; ${show}`, line)).stdout.split('|').slice(0, -1);
    };

    it.each([
      ['root=/dev/vda rw quiet', ['root', 'rootmode', 'quiet'], ['/dev/vda', 'rw', '1']],
      ['root="LABEL=my disk" ro', ['root', 'rootmode'], ['LABEL=my disk', 'ro']],
      ['"root=LABEL=my disk" x', ['root'], ['LABEL=my disk']],
      ['  root=a\troot=b  ', ['root'], ['b']],
      ['root="unclosed and more', ['root'], ['unclosed and more']],
      ['init=/bin/x -- root=/dev/no', ['init', 'root'], ['/bin/x', '']],
      ['panic=-1', ['panic'], ['-1']],
      ['imgboot.writable=ram:size=50% imgboot.keep=0', ['writable', 'keep'], ['ram:size=50%', '0']],
      ['rd.break rd.break=mount', ['break'], [' pre-pivot  mount ']],
      ['modprobe.blacklist=a,b rd.driver.blacklist=c;reboot', ['blacklist'], [' a b']],
      ['nothing=1 rooty=2 xroot=3', ['root'], ['']],
    ])('%s', async (line, names, values) => {
      expect(await parse(line, ...names)).toEqual(values);
    });

    it.each([
      'imgboot.writable=disk',
      'imgboot.keep=many',
      'imgboot.keep=',
      'imgboot.imgae=x',
      'rd.overlay=1',
      'docker_path=docker',
      'rd.timeout=1m',
      'rd.break=lunch',
      'panic=soon',
      'rootfstype=ext4;id',
      'toplayer.digest=sha256:12',
      'imgboot.writable=ram:size=1,mode=777',
    ])('%s stops the boot', async (word) => {
      const { exitCode, stderr } = await run(
        'imgboot_parse_cmdline "root=/dev/vda imgboot.image=x $1"; imgboot_check_parameters',
        word,
      );
      expect(exitCode).toBe(3);
      expect(stderr).toContain(`imgboot: ${word} on the kernel command line: `);
      expect(stderr).toContain('To mend it: ');
    });

    it('nothing of it runs', async () => {
      const trap = path.join(work.path, 'ran');
      const evil = [
        `$(touch ${trap})`,
        `\`touch ${trap}\``,
        `";touch ${trap};"`,
        `'; touch ${trap} #`,
        `\${IFS}touch\${IFS}${trap}`,
        `|touch ${trap}`,
        `*`,
      ];
      for (const word of evil) {
        const line = ['root', 'rootflags', 'imgboot.image', 'imgboot.store', 'init', 'toplayer', 'panic']
          .map((name) => `${name}=${word}`)
          .join(' ');
        await run(
          `imgboot_parse_cmdline "$1"; (imgboot_check_parameters); (imgboot_check_reference "$imgboot_image")
          (imgboot_find_store /nonexistent); (imgboot_canonical_spec "$imgboot_root"); (imgboot_is_program / "$imgboot_init")
          imgboot_write_report "$imgboot_init"`,
          line,
        );
      }
      await expect(readFile(trap)).rejects.toThrow('ENOENT');
    });
  });

  describe('the name of a device', () => {
    it.each([
      ['/dev/vda1', '/dev/vda1'],
      ['UUID=ABCD-EF01', 'UUID=abcd-ef01'],
      ['LABEL=Linux', 'LABEL=Linux'],
      ['LABEL=a..b', 'LABEL=a..b'],
      ['/dev/disk/by-uuid/12AB', 'UUID=12ab'],
      ['/dev/disk/by-label/my\\x20disk', 'LABEL=my disk'],
      ['/dev/disk/by-partuuid/12AB', 'PARTUUID=12ab'],
      ['/dev/disk/by-partlabel/root', 'PARTLABEL=root'],
    ])('%s means %s', async (given, canonical) => {
      expect(await reply('imgboot_canonical_spec "$1"', given)).toBe(canonical);
    });

    it.each(['vda', 'LABEL=', '/dev/../etc/passwd', 'nfs:/x', '8:1'])('%s is refused', async (given) => {
      expect((await run('imgboot_canonical_spec "$1"', given)).exitCode).toBe(1);
    });
  });

  describe('finds a device in what blkid says:', () => {
    /** Two disks with one label, a btrfs of two members, a copied disk, a partition. */
    const devices = [
      'DEVNAME=/dev/vda\nLABEL=twice\nUUID=aaaa\nTYPE=ext4\n',
      'DEVNAME=/dev/vdb\nLABEL=twice\nUUID=bbbb\nTYPE=ext4\n',
      'DEVNAME=/dev/vdc\nLABEL=pool\nUUID=cccc\nUUID_SUB=c1\nTYPE=btrfs\n',
      'DEVNAME=/dev/vdd\nLABEL=pool\nUUID=cccc\nUUID_SUB=c2\nTYPE=btrfs\n',
      'DEVNAME=/dev/vde\nLABEL=copy\nUUID=eeee\nUUID_SUB=e1\nTYPE=btrfs\n',
      'DEVNAME=/dev/vdf\nLABEL=copy\nUUID=eeee\nUUID_SUB=e1\nTYPE=btrfs\n',
      'DEVNAME=/dev/vdg1\nLABEL=my\\ \\"\\$x\\`y=\nUUID=ABCD-1234\nTYPE=vfat\nPART_ENTRY_UUID=9-8-7\nPART_ENTRY_NAME=root\n',
      '',
    ].join('\n');
    const match = async (kind: string, value: string): Promise<string> => {
      const script = `printf '%s\\n' "$3" > devices; imgboot_match_name "$1" "$2"
        printf '%s:%s:%s:%s:%s' $? "$imgboot_device" "$imgboot_fstype" "$imgboot_members" "$imgboot_reply"`;
      return (await run(script, kind, value, devices)).stdout;
    };
    it.each([
      ['UUID', 'aaaa', '0:/dev/vda:ext4::/dev/vda'],
      ['LABEL', 'twice', '2:/dev/vda:ext4::/dev/vda and /dev/vdb'],
      ['LABEL', 'pool', '0:/dev/vdc:btrfs: /dev/vdd:/dev/vdc'],
      ['UUID', 'eeee', '2:/dev/vde:btrfs::/dev/vde and /dev/vdf'],
      ['LABEL', 'my "$x`y=', '0:/dev/vdg1:vfat::/dev/vdg1'],
      ['UUID', 'abcd-1234', '0:/dev/vdg1:vfat::/dev/vdg1'],
      ['PARTUUID', '9-8-7', '0:/dev/vdg1:vfat::/dev/vdg1'],
      ['PARTLABEL', 'root', '0:/dev/vdg1:vfat::/dev/vdg1'],
    ])('%s=%s', async (kind, value, found) => {
      expect(await match(kind, value)).toBe(found);
    });
    it('and knows when there is none', async () => {
      expect((await match('LABEL', 'none')).split(':')[0]).toBe('1');
    });
  });

  describe('a store', () => {
    const chain = `sha256:${'c'.repeat(64)}`;
    const bootFile = (reference: string, id: string, driver = 'overlay'): string =>
      `version=1\nreference=${reference}\nimage=sha256:${id.repeat(64)}\ndriver=${driver}\nchain=${chain}\n` +
      'layer=2222222222222222\nlayer=1111111111111111\nnew-key=whatever $(id)\n';
    const store = 'disk/var/lib/imgboot';

    beforeAll(async () => {
      for (const directory of ['boot', 'layers/1111111111111111', 'layers/2222222222222222']) {
        await mkdir(path.join(work.path, store, directory), { recursive: true });
      }
      const write = (reference: string, text: string): Promise<void> =>
        writeFile(path.join(work.path, store, 'boot', encodeReference(reference)), text);
      await write('debian:bookworm', bootFile('debian:bookworm', 'a'));
      await write('docker.io/library/alpine:latest', bootFile('docker.io/library/alpine:latest', 'b'));
      await write('localhost/mine:1', bootFile('localhost/mine:1', 'd', 'btrfs'));
      await write('bad:1', bootFile('bad:1', 'a').replace('layer=2', 'layer=../../2'));
      await write('bad:2', bootFile('bad:2', 'a').replace('version=1', 'version=2'));
      await write('bad:3', bootFile('bad:3', 'a').replace('layer=2', 'layer=3'));
      await symlink('/var', path.join(work.path, 'disk/link'));
    });

    const find = async (image: string): Promise<{ stdout: string; stderr: string; exitCode: number }> =>
      run(
        `imgboot_find_store disk; imgboot_find_image "$1"
        printf '%s|%s|%s|%s' "$imgboot_name" "$imgboot_reference" "$imgboot_driver" "$imgboot_layers"`,
        image,
      );

    it.each([
      ['debian:bookworm', 'debian%3Abookworm|debian:bookworm|overlay'],
      ['alpine', 'docker.io%2Flibrary%2Falpine%3Alatest|docker.io/library/alpine:latest|overlay'],
      ['mine:1', 'localhost%2Fmine%3A1|localhost/mine:1|btrfs'],
      [`sha256:${'d'.repeat(12)}`, 'localhost%2Fmine%3A1|localhost/mine:1|btrfs'],
    ])('finds %s', async (image, found) => {
      const { stdout, stderr } = await find(image);
      expect(stderr).toBe('');
      expect(stdout).toBe(`${found}| 2222222222222222 1111111111111111`);
    });

    it('that has no such image says which it has', async () => {
      const { stderr, exitCode } = await find('fedora');
      expect(exitCode).toBe(3);
      expect(stderr).toContain('has no such image; it has: bad:1, bad:2, bad:3, debian:bookworm, ');
    });

    it.each([
      'a b',
      'x;id',
      '$(id)',
      '../x',
      '/x',
      'x/',
      'a//b',
      ':x',
      'x\ny',
      'ö',
      '',
      'x'.repeat(256),
      '*',
    ])('refuses %j as a reference', async (reference) => {
      const { stderr, exitCode } = await find(reference);
      expect(exitCode).toBe(3);
      expect(stderr).toMatch(/no image reference|longer than|no such image/);
    });

    it.each(['sha256:aaa', 'sha256:../../../../x', `sha256:${'A'.repeat(12)}`])(
      'refuses %s as an image ID',
      async (id) => {
        expect((await find(id)).stderr).toContain('is no image ID');
      },
    );

    it.each(['bad:1', 'bad:2', 'bad:3'])('that is damaged is not booted: %s', async (image) => {
      const { stderr, exitCode } = await find(image);
      expect(exitCode).toBe(3);
      expect(stderr).toContain('imgboot fsck --repair');
    });

    it('is not looked for through a symbolic link or ..', async () => {
      for (const place of ['/link/lib/imgboot', '/var/../var/lib/imgboot']) {
        const { stderr, exitCode } = await run('imgboot_store=$1; imgboot_find_store disk', place);
        expect(exitCode).toBe(3);
        expect(stderr).toContain('is a symbolic link or ..');
      }
    });
  });

  it("a path's links are read as the new root will read them", async () => {
    const root = path.join(work.path, 'root');
    await mkdir(path.join(root, 'usr/lib/systemd'), { recursive: true });
    await mkdir(path.join(root, 'usr/sbin'));
    await writeFile(path.join(root, 'usr/lib/systemd/systemd'), '', { mode: 0o755 });
    await symlink('usr/sbin', path.join(root, 'sbin'));
    await symlink('/usr/lib', path.join(root, 'lib'));
    await symlink('/lib/systemd/systemd', path.join(root, 'usr/sbin/init'));
    await symlink('../../../../etc', path.join(root, 'up'));
    await symlink('loop', path.join(root, 'loop'));
    expect(await reply('imgboot_resolve_inside "$1" "$2"', root, '/sbin/init')).toBe(
      '/usr/lib/systemd/systemd',
    );
    expect(await reply('imgboot_resolve_inside "$1" "$2"', root, '/up/passwd')).toBe('/etc/passwd');
    expect((await run('imgboot_resolve_inside "$1" "$2"', root, '/loop')).exitCode).toBe(1);
    expect((await run('imgboot_is_program "$1" "$2"', root, '/sbin/init')).exitCode).toBe(0);
    expect((await run('imgboot_is_program "$1" "$2"', root, '/usr')).exitCode).toBe(1);
  });

  describe('merges accounts by name:', () => {
    const merge = async (image: string, machine: string): Promise<string> => {
      await writeFile(path.join(work.path, 'image'), image);
      await writeFile(path.join(work.path, 'machine'), machine);
      return (await run('imgboot_merge_accounts image machine')).stdout;
    };

    it("the image's order, the machine's lines, the machine's own at the end", async () => {
      expect(await merge('root:x:0:\nnew:x:999:\n', 'alice:x:1000:\nroot:y:0:\n')).toBe(
        'root:y:0:\nnew:x:999:\nalice:x:1000:\n',
      );
    });
    it('names with several lines, lines without an end, comments', async () => {
      expect(await merge('# c\na:1:1\na:2:2\nb:3:3', 'a:7:7\na:8:8\n\nc:9:9')).toBe(
        '# c\na:7:7\na:8:8\nb:3:3\nc:9:9\n',
      );
    });
    it('empty files', async () => {
      expect(await merge('', 'a:1\n')).toBe('a:1\n');
      expect(await merge('a:1\n', '')).toBe('a:1\n');
    });
    it('names that are patterns are only names', async () => {
      expect(await merge('*:1\n[a]:2\na:3\n', '*:4\n')).toBe('*:4\n[a]:2\na:3\n');
    });
  });

  it('the report is JSON, whatever the command line said', async () => {
    await run(
      `imgboot_run=report; mkdir -p report
      imgboot_root=$1; imgboot_image=x; imgboot_top=$1; imgboot_fallback "$1"; imgboot_step a; imgboot_step b; imgboot_step ''
      imgboot_write_report "$1"`,
      'a "b" \\ \t$(id)',
    );
    const report: unknown = JSON.parse(await readFile(path.join(work.path, 'report/boot.json'), 'utf8'));
    expect(report).toMatchObject({
      version: 1,
      root: { asked: 'a "b" \\ \t$(id)' },
      fallbacks: ['a "b" \\ \t$(id)'],
      steps: [{ name: 'a' }, { name: 'b' }],
    });
  });

  it('the report says when, by the clock of the machine', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    await run("imgboot_run=when; mkdir -p when; imgboot_write_report ''");
    const report = JSON.parse(await readFile(path.join(work.path, 'when/boot.json'), 'utf8')) as BootReport;
    expect(report.time).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Date.parse(report.time!)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(report.time!)).toBeLessThanOrEqual(Date.now());
  });

  it('twenty reports are kept of a name, and no boot has the number of another', async () => {
    const script = `imgboot_run=history; imgboot_store_dir=history/store; mkdir -p history/store/boots/desktop history/place
      echo $1 > history/boot.json; imgboot_name=$2; imgboot_keep_report history/place || echo failed`;
    const keep = async (name: string): Promise<string> => (await run(script, '{}', name)).stdout;
    for (let boot = 1; boot <= 3; boot += 1) await keep('debian%3Abookworm');
    for (let boot = 4; boot <= 19; boot += 1) await keep(`desktop/${boot % 2}`);
    const boots = path.join(work.path, 'history/store/boots');
    for (const name of ['4.good', '5.good', '7.json.new', 'x.json', '123456789.json'])
      await writeFile(path.join(boots, 'desktop', name), '');
    for (let boot = 20; boot <= 25; boot += 1) expect(await keep('desktop/2')).toBe('');
    const numbers = async (name: string): Promise<number[]> =>
      (await readdir(path.join(boots, name)))
        .flatMap((file) => /^(\d{1,8})\.json$/.exec(file)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b);
    expect(await numbers('debian%3Abookworm')).toEqual([1, 2, 3]);
    expect(await numbers('desktop')).toEqual(Array.from({ length: 20 }, (_, at) => at + 6));
    // What is not ours is left alone.
    expect(
      (await readdir(path.join(boots, 'desktop'))).filter((name) => !/^\d{1,8}\.json$/.test(name)).sort(),
    ).toEqual(['123456789.json', 'x.json']);
    expect(await readFile(path.join(work.path, 'history/place/boot.json'), 'utf8')).toBe('{}\n');
  });

  it('a report that cannot be kept is said, and nothing half-made has its name', async () => {
    const script = `imgboot_run=full; imgboot_store_dir=full/store; mkdir -p full/store full/place
      echo '{}' > full/boot.json; imgboot_name=desktop/1; echo in the way > full/store/boots
      imgboot_keep_report full/place || echo failed`;
    expect((await run(script)).stdout).toBe('failed\n');
  });

  it('the next number of a series is past the greatest', async () => {
    for (const name of ['e.1', 'e.9', 'e.10', 'e.x', 'e.0', 'e']) {
      await mkdir(path.join(work.path, 'series', name), { recursive: true });
    }
    expect(await reply('imgboot_next_number series/e.')).toBe('11');
    expect(await reply('imgboot_next_number series/none.')).toBe('1');
  });
});

describe('the scripts of the hooks', () => {
  it('pass shellcheck', async () => {
    const files = (await readdir(hookLibrary)).filter((name) => name.endsWith('.sh'));
    expect(files).toContain('imgboot.sh');
    const { exitCode, stdout } = await execa('shellcheck', [
      ...files.map((name) => path.join(hookLibrary, name)),
      ...['lib/bless', 'lib/clean', 'lib/shutdown', 'own/agent', 'own/init'].map((name) =>
        path.join(repository, 'hooks', name),
      ),
    ]);
    expect([exitCode, stdout]).toEqual([0, '']);
  });
});
