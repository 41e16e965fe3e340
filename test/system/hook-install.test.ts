import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { repository } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const installer = path.join(repository, 'hooks/install');
const shells: Record<string, string[]> = { dash: ['dash'], 'busybox ash': ['busybox', 'ash'] };

describe.each(Object.entries(shells))('hooks/install under %s', (_, shell) => {
  let root: TemporaryDirectory;
  beforeEach(async () => {
    root = await TemporaryDirectory.create();
    for (const directory of ['usr/share/initramfs-tools/hooks', 'usr/lib/initcpio', 'etc']) {
      await mkdir(path.join(root.path, directory), { recursive: true });
    }
  });
  afterEach(async () => root[Symbol.asyncDispose]());

  async function install(...args: string[]): Promise<string[]> {
    const [program, ...rest] = shell;
    const { stdout } = await execa(program!, [...rest, installer, '--root', root.path, ...args]);
    return stdout.split('\n');
  }
  const inRoot = (file: string): string => path.join(root.path, file);
  async function files(): Promise<string[]> {
    const { stdout } = await execa('find', ['.', '-type', 'f'], { cwd: root.path });
    return stdout.split('\n').filter(Boolean).sort();
  }

  it('takes the generators that are there, and removing them leaves nothing', async () => {
    const before = (await execa('find', ['.'], { cwd: root.path })).stdout;
    expect(await install()).toEqual(['initramfs-tools: installed', 'mkinitcpio: installed']);
    expect(await files()).toEqual(
      expect.arrayContaining([
        './usr/share/initramfs-tools/hooks/imgboot',
        './usr/share/initramfs-tools/scripts/imgboot',
        './usr/lib/initcpio/install/imgboot',
        './usr/lib/initcpio/install/sd-imgboot',
        './usr/lib/initcpio/hooks/imgboot',
        './usr/share/imgboot/hooks/lib/imgboot.sh',
      ]),
    );
    expect(await install('status')).toEqual([
      'dracut: absent (there is no such generator)',
      'initramfs-tools: installed',
      'mkinitcpio: installed',
    ]);
    // What both need stays as long as one is there.
    expect(await install('remove', 'initramfs-tools')).toEqual(['initramfs-tools: removed']);
    expect(await install('status', 'mkinitcpio')).toEqual(['mkinitcpio: installed']);
    await install('remove');
    for (const name of [
      'usr/lib/initcpio/install',
      'usr/lib/initcpio/hooks',
      'usr/share/initramfs-tools/scripts',
    ]) {
      await rm(inRoot(name), { recursive: true });
    }
    expect((await execa('find', ['.'], { cwd: root.path })).stdout.split('\n').sort()).toEqual(
      before.split('\n').sort(),
    );
  });

  it('says what was changed, keeps it when the rest is removed, and mends it when told to install again', async () => {
    await install('install', 'mkinitcpio');
    await appendFile(inRoot('usr/lib/initcpio/hooks/imgboot'), '# mine\n');
    await rm(inRoot('usr/share/imgboot/hooks/lib/text.sh'));
    expect(await install('status', 'mkinitcpio')).toEqual([
      'mkinitcpio: modified',
      '  missing: /usr/share/imgboot/hooks/lib/text.sh',
      '  modified: /usr/lib/initcpio/hooks/imgboot',
    ]);
    await install('install', 'mkinitcpio');
    expect(await install('status', 'mkinitcpio')).toEqual(['mkinitcpio: installed']);
    await appendFile(inRoot('usr/lib/initcpio/hooks/imgboot'), '# mine\n');
    expect(await install('remove', 'mkinitcpio')).toEqual([
      '  kept, since it was modified: /usr/lib/initcpio/hooks/imgboot',
      'mkinitcpio: removed',
    ]);
    expect(await files()).toEqual(['./usr/lib/initcpio/hooks/imgboot']);
  });

  it('knows hooks of another version, and deletes what this one no longer has', async () => {
    await install('install', 'initramfs-tools');
    const record = inRoot('usr/share/imgboot/installed/initramfs-tools');
    await writeFile(inRoot('usr/share/imgboot/old'), 'old\n');
    const { stdout: sum } = await execa('sha256sum', [], { input: 'old\n' });
    await appendFile(record, `${sum.split(' ')[0]}  /usr/share/imgboot/old\n`);
    expect(await install('status', 'initramfs-tools')).toEqual(['initramfs-tools: outdated']);
    await install('install', 'initramfs-tools');
    expect(await install('status', 'initramfs-tools')).toEqual(['initramfs-tools: installed']);
    expect(await files()).not.toContain('./usr/share/imgboot/old');
  });

  it.each([
    ['HOOKS=(base udev block filesystems fsck)', 'HOOKS=(base udev block imgboot filesystems fsck)'],
    ['HOOKS=(base systemd block filesystems)', 'HOOKS=(base systemd block sd-imgboot filesystems)'],
    ['HOOKS=(base udev block)', 'HOOKS=(base udev block imgboot)'],
    ['HOOKS=(base udev imgboot block)', 'HOOKS=(base udev imgboot block)'],
  ])('--enable makes %s', async (line, expected) => {
    const conf = inRoot('etc/mkinitcpio.conf');
    const before = `# HOOKS=(commented)\nHOOKS=(first)\n${line}\nCOMPRESSION="zstd"\n`;
    await writeFile(conf, before, { mode: 0o640 });
    await install('install', 'mkinitcpio');
    expect(await readFile(conf, 'utf8')).toBe(before);
    await install('--enable', 'install', 'mkinitcpio');
    expect(await readFile(conf, 'utf8')).toBe(before.replace(line, expected));
    // Twice is once.
    await install('--enable', 'install', 'mkinitcpio');
    expect(await readFile(conf, 'utf8')).toBe(before.replace(line, expected));
  });

  it('refuses what it does not know, and a system without a generator', async () => {
    await expect(install('install', 'booster')).rejects.toThrow('there is no generator booster');
    await rm(inRoot('usr'), { recursive: true });
    await expect(install()).rejects.toThrow('has none of dracut initramfs-tools mkinitcpio');
    expect(await files()).toEqual([]);
  });
});

describe('the scripts of the hooks for other generators', () => {
  it('pass shellcheck', async () => {
    const names = [
      'install',
      ...['boot', 'asked.sh', 'image.sh', 'imgboot-generator'].map((name) => `others/${name}`),
      ...['hooks/imgboot', 'scripts/imgboot', 'conf', 'turn'].map((name) => `initramfs-tools/${name}`),
      ...['module-setup.sh', 'parse-imgboot.sh', 'mount-imgboot.sh', 'turn'].map((name) => `dracut/${name}`),
      ...['build.sh', 'install/imgboot', 'install/sd-imgboot', 'hooks/imgboot'].map(
        (name) => `mkinitcpio/${name}`,
      ),
    ];
    // What they source lies elsewhere when they run (SC1091).
    const { stdout } = await execa('shellcheck', ['--exclude=SC1091', ...names], {
      cwd: path.join(repository, 'hooks'),
      reject: false,
    });
    expect(stdout).toBe('');
  });
});
