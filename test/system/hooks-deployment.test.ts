import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { hookLibrary, hookPort, hookShells } from '../support/hook-shells.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const LAYER = '1'.repeat(16);

/** What is decided of a deployment, in the order of {@link Decision}'s members. */
const decide = `
imgboot_parse_cmdline "root=/dev/vda $1"
imgboot_check_parameters
imgboot_store_dir=store imgboot_store_path=/imgboot imgboot_device=/dev/vda
imgboot_open_deployment
printf '%s|%s|%s|%s|%s' "$imgboot_version" "$imgboot_name" "$imgboot_try_number" "$imgboot_fallback_version" "$imgboot_fallbacks"
`;

/** What makes systemd run it. */
const BLESSING = ['default.target.d', 'imgboot-bless.service', 'multi-user.target.d'];

interface Version {
  good?: boolean;
  tries?: string;
  lines?: string[];
  /** The boot file as it is, where it is not whole. */
  boot?: string;
}

describe.each(Object.entries(hookShells))('deployments under %s', (_, shell) => {
  let work: TemporaryDirectory;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
    for (const name of ['boot', `layers/${LAYER}`, 'deployments']) {
      await mkdir(path.join(work.path, 'store', name), { recursive: true });
    }
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  const inStore = (...parts: string[]): string => path.join(work.path, 'store/deployments', ...parts);

  async function write(versions: Record<string, Version>): Promise<void> {
    for (const [id, { good, tries, lines = [], boot }] of Object.entries(versions)) {
      await mkdir(inStore(id), { recursive: true });
      const digest = `sha256:${'a'.repeat(64)}`;
      const whole = [
        'version=1',
        `reference=${id}:1`,
        `image=${digest}`,
        'driver=overlay',
        `chain=${digest}`,
        `layer=${LAYER}`,
      ];
      await writeFile(inStore(id, 'boot'), boot ?? `${[...whole, ...lines].join('\n')}\n`);
      if (good === true) await writeFile(inStore(id, 'good'), '');
      if (tries !== undefined) await writeFile(inStore(id, 'tries'), tries);
    }
  }

  async function run(
    script: string,
    ...args: string[]
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const text = `set -u; imgboot_run=.; imgboot_work=work; imgboot_lib=$1; shift; ${hookPort} . "$imgboot_lib/imgboot.sh"\n${script}`;
    const { stdout, stderr, exitCode } = await execa(
      'unshare',
      ['--mount', '--propagation', 'private', ...shell, '-c', text, 'sh', hookLibrary, ...args],
      { cwd: work.path, env: { LC_ALL: 'C' }, reject: false },
    );
    return { stdout, stderr, exitCode: exitCode! };
  }
  const decided = async (words: string): Promise<string[]> => {
    const { stdout, stderr } = await run(decide, words);
    expect(stderr).toBe('');
    return stdout.split('|');
  };

  it('the newest version that may still show itself good is meant by a name', async () => {
    await write({
      'desktop/9': { good: true },
      'desktop/10': { tries: '2' },
      'desktop/11': { tries: '3' },
      'desktop/12': { tries: '1', lines: ['try=1'] },
      'desktop/x': {},
      'other/20': {},
    });
    await mkdir(inStore('desktop/13'));
    expect((await decided('imgboot.deployment=desktop')).slice(0, 4)).toEqual([
      'desktop/10',
      'desktop/10',
      '3',
      'desktop/9',
    ]);
    expect(await readFile(inStore('desktop/10/tries'), 'utf8')).toBe('3\n');
    expect((await decided('imgboot.deployment=desktop')).slice(0, 3)).toEqual(['desktop/9', 'desktop/9', '']);
  });

  it('a version that is good is not counted', async () => {
    await write({ 'desktop/1': { good: true, tries: '7' } });
    expect(await decided('imgboot.deployment=desktop/1')).toEqual(['desktop/1', 'desktop/1', '', '', '']);
    expect(await readFile(inStore('desktop/1/tries'), 'utf8')).toBe('7');
  });

  it.each([
    [{ lines: ['previous=other/1'] }, 'other/1'],
    // What it names is not there, or cannot be booted: the newest good one of its name.
    [{ lines: ['previous=other/9'] }, 'desktop/2'],
    [{ lines: ['previous=../../etc'] }, 'desktop/2'],
    [{ lines: ['previous=desktop/4'] }, 'desktop/2'],
    [{ boot: 'version=1\nprev' }, 'desktop/2'],
    [{ boot: '' }, 'desktop/2'],
  ] satisfies [Version, string][])(
    'in place of a version with %o, %s is booted',
    async (version, previous) => {
      await write({
        'other/1': { good: true },
        'desktop/1': { good: true },
        'desktop/2': { good: true },
        'desktop/3': { good: true, boot: 'version=1\n' },
        'desktop/4': { tries: '3', ...version },
      });
      const [asked, got, number, , fallbacks] = await decided('imgboot.deployment=desktop/4');
      expect([asked, got, number]).toEqual(['desktop/4', previous, '']);
      expect(fallbacks).toBe(
        `"desktop/4 was booted 3 times and never found good; booting ${previous} in its place"`,
      );
      expect(await readFile(inStore('desktop/4/tries'), 'utf8')).toBe('3');
    },
  );

  it.each([
    { state: 'is still to show itself', version: { tries: '1' }, units: BLESSING },
    { state: 'is known as good', version: { good: true }, units: [] },
    {
      state: 'is good, which the loader does not know',
      version: { good: true },
      prepare: 'printf untold > store/deployments/desktop/2/good',
      units: BLESSING,
    },
    // systemd's own would find the loader's entry good that failed.
    { state: 'is booted in place', version: { tries: '3' }, units: ['systemd-bless-boot.service'] },
  ] as { state: string; version: Version; prepare?: string; units: string[] }[])(
    'systemd is to bless what it should: a version that $state',
    async ({ version, prepare = ':', units }) => {
      await write({ 'desktop/1': { good: true }, 'desktop/2': version });
      const script = `${prepare}; mount -t tmpfs none /run; mkdir -p /run/initramfs /run/systemd/system; ${decide}
        imgboot_place=$imgboot_store_dir/deployments/$imgboot_name imgboot_store_shown=/imgboot
        imgboot_leave_bless; echo; ls /run/systemd/system; head -n 2 /run/initramfs/bless.order`;
      const { stdout, stderr } = await run(script, 'imgboot.deployment=desktop/2');
      expect(stderr).toBe('');
      const got = version.tries === '3' ? 'desktop/1' : 'desktop/2';
      expect(stdout.split('\n').slice(1)).toEqual([...units, '/imgboot', got]);
    },
  );

  it('where there is nothing to fall back to, it goes on with what there is', async () => {
    await write({ 'desktop/2': { tries: '3' }, 'desktop/1': { tries: '1' } });
    const [, got, number, fallback, fallbacks] = await decided('imgboot.deployment=desktop/2');
    expect([got, number, fallback]).toEqual(['desktop/2', '4', '']);
    expect(fallbacks).toContain('desktop/2 was booted 3 times and never found good; going on with it');
  });

  it.each(['', 'many', '-1', '08', '1 2', '$(id)', '99999999999999999999', '3\u0000'])(
    'a file of tries that holds "%s" does not stop the boot',
    async (tries) => {
      await write({ 'desktop/1': { good: true }, 'desktop/2': { tries } });
      const [, got, number, , fallbacks] = await decided('imgboot.deployment=desktop/2');
      const understood = tries.startsWith('3');
      expect(got).toBe(understood ? 'desktop/1' : 'desktop/2');
      expect(number).toBe(understood ? '' : '1');
      expect(fallbacks).toContain(
        understood ? 'in its place' : 'tries is damaged: counting its boots from 1 again',
      );
    },
  );

  it('a version with a damaged boot file stops the boot, which has been counted', async () => {
    await write({ 'desktop/2': { boot: 'version=1\n' } });
    const { exitCode, stderr } = await run(decide, 'imgboot.deployment=desktop/2');
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('boot names the driver ""')]);
    expect(await readFile(inStore('desktop/2/tries'), 'utf8')).toBe('1\n');
    expect(await readdir(inStore('desktop/2'))).toEqual(['boot', 'tries']);
  });

  it('a deployment that is not there stops the boot, naming those that are', async () => {
    await write({ 'desktop/1': {}, 'desktop/2': {}, 'kiosk/1': {} });
    await mkdir(inStore('tiny%3A1/ephemeral/boot'), { recursive: true });
    const { exitCode, stderr } = await run(decide, 'imgboot.deployment=desktop/3');
    expect(exitCode).toBe(3);
    expect(stderr).toContain(
      'imgboot: looking for the deployment desktop/3: the store /imgboot on /dev/vda has no such deployment; it has: desktop/1, desktop/2, kiosk/1. To mend it: ',
    );
  });

  it.each([
    'imgboot.deployment=',
    'imgboot.deployment=Desktop',
    'imgboot.deployment=.hidden',
    'imgboot.deployment=desktop/',
    'imgboot.deployment=desktop/0',
    'imgboot.deployment=desktop/1/2',
    'imgboot.deployment=desktop/new',
    'imgboot.deployment=../desktop',
    'imgboot.deployment=desktop/..',
    `imgboot.deployment=${'a'.repeat(64)}`,
    'imgboot.deployment=$(id)',
    'imgboot.deployment=debian:bookworm',
  ])('%s stops the boot', async (word) => {
    const { exitCode, stderr } = await run(decide, word);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(
      `${word} on the kernel command line: is neither NAME nor NAME/NUMBER of a deployment`,
    );
  });

  it('an image and a deployment exclude each other', async () => {
    const { exitCode, stderr } = await run(decide, 'imgboot.deployment=desktop imgboot.image=debian');
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('there is imgboot.image=debian, too')]);
  });

  it.each([
    ['mkdir other', 'there is no /imgboot/deployments/desktop/1/ephemeral'],
    ['ln -s other ephemeral', 'there is no /imgboot/deployments/desktop/1/ephemeral'],
    [
      'mkdir -p ephemeral/upper',
      `it was made on an unknown image, and the image is now sha256:${'a'.repeat(64)}`,
    ],
    ['mkdir -p ephemeral/on/bbb', `it was made on sha256:bbb, and the image is now sha256:${'a'.repeat(64)}`],
    [
      `mkdir -p ephemeral/on/${'a'.repeat(64)}/base.x.y base.x.z`,
      'the top layer that it was made on, base.x.y, is no longer there',
    ],
  ])('the last layer is not booted again after %s', async (script, says) => {
    await write({ 'desktop/1': { good: true } });
    await execa('sh', ['-euc', script], { cwd: inStore('desktop/1') });
    const words = 'imgboot.deployment=desktop/1 imgboot.writable=previous';
    const { exitCode, stderr } = await run(`${decide} imgboot_make_root root`, words);
    expect([exitCode, stderr]).toEqual([
      3,
      expect.stringContaining(`booting the last ephemeral layer once more: ${says}. To mend it: `),
    ]);
  });

  it.each(['home', '/a/../../b', '/', '/loop', '/twice', '/file'])(
    'the persistent directory %s stops the boot, which names it',
    async (directory) => {
      await mkdir(path.join(work.path, 'root/one'), { recursive: true });
      await writeFile(path.join(work.path, 'root/file'), '');
      await execa('ln', ['-s', 'loop', path.join(work.path, 'root/loop')]);
      await execa('ln', ['-s', 'one', path.join(work.path, 'root/twice')]);
      for (const name of ['%2Fone', '%2Ftwice', '%2Ffile'])
        await mkdir(inStore('desktop/persist', name), { recursive: true });
      await write({ 'desktop/1': { good: true, lines: ['persist=/one', `persist=${directory}`] } });
      const script = `${decide} mount() { :; }; imgboot_mount_persist root`;
      const { exitCode, stderr } = await run(script, 'imgboot.deployment=desktop/1');
      expect(exitCode).toBe(3);
      expect(stderr).toContain('To mend it: ');
      expect(stderr).toContain(directory);
    },
  );
});

describe('/run/initramfs/bless', () => {
  const version = 'desktop/2';

  /** Runs it as the booted system does, with a store that is shown read-only. */
  async function bless(mountPoint: string, order: string[]): Promise<{ exitCode: number; output: string }> {
    const script = `mount -t tmpfs none /run; mkdir -p /run/initramfs/bin /run/initramfs/tmp /run/imgboot
      cp "$(command -v busybox)" /run/initramfs/bin/busybox; echo '{}' > /run/imgboot/boot.json
      cp "$1" /run/initramfs/bless; mount --bind "$2/store" /mnt; mount -o remount,bind,ro none /mnt; shift 2
      printf '%s\\n' /mnt "$@" > /run/initramfs/bless.order
      if touch /mnt/x; then exit 9; fi
      /run/initramfs/bin/busybox sh /run/initramfs/bless && status=0 || status=$?
      if touch /mnt/x; then exit 9; fi
      exit $status`;
    const words = ['--mount', '--propagation', 'private', 'sh', '-uc', script, 'sh'];
    const { exitCode, all } = await execa(
      'unshare',
      [...words, path.join(hookLibrary, 'bless'), mountPoint, version, ...order],
      { reject: false, all: true },
    );
    return { exitCode: exitCode!, output: all };
  }

  it("takes GRUB's counter away, and only that of the version", async () => {
    await using filesystem = await loopFilesystem({ type: 'ext4', sizeBytes: 32 * 2 ** 20 });
    const inside = (...parts: string[]): string => path.join(filesystem.mountPoint, ...parts);
    await mkdir(inside('store/deployments', version), { recursive: true });
    await mkdir(inside('grub'));
    await writeFile(inside('store/deployments', version, 'tries'), '2\n');
    const { stdout: device } = await execa('findmnt', ['-no', 'SOURCE', filesystem.mountPoint]);
    const environment = inside('grub/imgboot.env');
    const list = async (): Promise<string> => (await execa('grub-editenv', [environment, 'list'])).stdout;
    await execa('grub-editenv', [environment, 'create']);
    await execa('grub-editenv', [environment, 'set', 'imgboot_trying=desktop/22', 'imgboot_tries=1']);
    expect(await bless(filesystem.mountPoint, ['grub', device, 'ext4', '/grub'])).toMatchObject({
      exitCode: 0,
    });
    expect(await list()).toBe('imgboot_trying=desktop/22\nimgboot_tries=1');
    expect(await readdir(inside('store/deployments', version))).toEqual(['boot.json', 'good']);

    await execa('rm', [inside('store/deployments', version, 'good')]);
    await execa('grub-editenv', [environment, 'set', `imgboot_trying=${version}`]);
    expect(await bless(filesystem.mountPoint, ['grub', device, 'ext4', '/grub'])).toMatchObject({
      exitCode: 0,
    });
    expect(await list()).toBe('');
    expect((await readFile(environment)).length).toBe(1024);
    expect(await readdir(inside('grub'))).toEqual(['imgboot.env']);
  });

  it('where the loader cannot be told, the boot is good all the same, and the next one tells it', async () => {
    await using filesystem = await loopFilesystem({ type: 'ext4', sizeBytes: 32 * 2 ** 20 });
    const directory = path.join(filesystem.mountPoint, 'store/deployments', version);
    await mkdir(directory, { recursive: true });
    const missing = ['systemd-boot', '0000-0000', 'vfat', '/loader'];
    const first = await bless(filesystem.mountPoint, missing);
    expect(first.exitCode).toBe(1);
    expect(first.output).toContain(
      'imgboot: systemd-boot could not be told that desktop/2 is good; the next boot will try again',
    );
    expect(await readFile(path.join(directory, 'good'), 'utf8')).toBe('untold');
    await mkdir(path.join(filesystem.mountPoint, 'loader/entries'), { recursive: true });
    const entries = path.join(filesystem.mountPoint, 'loader/entries');
    await writeFile(path.join(entries, 'imgboot-desktop-2+0-3.conf'), 'entry');
    // As a power cut may leave it.
    for (const half of ['.new-imgboot-desktop-2.conf', 'imgboot-desktop-2.conf'])
      await writeFile(path.join(entries, half), 'en');
    const { stdout: device } = await execa('findmnt', ['-no', 'SOURCE', filesystem.mountPoint]);
    const boots = path.join(filesystem.mountPoint, 'store/boots/desktop');
    await mkdir(boots, { recursive: true });
    const order = ['systemd-boot', device, 'ext4', '/loader', 'boots/desktop/7.good'];
    const again = await bless(filesystem.mountPoint, order);
    expect(again).toEqual({ exitCode: 0, output: expect.stringContaining('desktop/2 is good') });
    expect(await readFile(path.join(directory, 'good'), 'utf8')).toBe('');
    expect(await readdir(entries)).toEqual(['imgboot-desktop-2.conf']);
    expect(await readFile(path.join(entries, 'imgboot-desktop-2.conf'), 'utf8')).toBe('entry');
    expect(await readdir(boots)).toEqual(['7.good']);
    const third = await bless(filesystem.mountPoint, missing);
    expect(third).toEqual({ exitCode: 0, output: expect.stringContaining('desktop/2 is known as good') });
  });
});
