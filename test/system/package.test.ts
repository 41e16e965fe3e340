import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { minimalTar } from '../support/fixtures.ts';
import { repository } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const sourceDate = { SOURCE_DATE_EPOCH: '1700000000' };

describe("imgboot's own packages", () => {
  let directory: TemporaryDirectory;
  let root: string;
  let tarball: string;
  let deb: string;

  beforeAll(async () => {
    directory = await TemporaryDirectory.create();
    root = path.join(directory.path, 'root');
    await mkdir(root);
    const [rootfs] = await Promise.all([minimalTar(), makePackages(directory.path)]);
    await execa('tar', ['-xf', rootfs, '-C', root]);
    tarball = await only(directory.path, '.tar.gz');
    deb = await only(directory.path, '.deb');
  });
  afterAll(async () => directory[Symbol.asyncDispose]());

  /** Runs a program in a Debian that has neither Node nor npm, with no environment but an empty PATH. */
  async function inRoot(command: string[]): Promise<{ stdout: string; stderr: string; exitCode?: number }> {
    return execa('chroot', [root, ...command], { env: { PATH: '/usr/sbin:/usr/bin' }, extendEnv: false });
  }

  it('the tarball runs where it is unpacked, without Node and without a PATH', async () => {
    await mkdir(path.join(root, 'opt'), { recursive: true });
    await execa('tar', ['-xzf', tarball, '-C', path.join(root, 'opt')]);
    const [name] = (await readdir(path.join(root, 'opt'))).filter((entry) => entry.startsWith('imgboot-'));
    const imgboot = ['env', '-i', 'PATH=', `/opt/${name}/bin/imgboot`];
    expect((await inRoot([...imgboot, '--version'])).stdout).toMatch(
      /^imgboot\/\d+\.\d+\.\d+ linux-x64 node-v24/,
    );
    expect((await inRoot([...imgboot, 'images', '--help'])).stdout).toContain('$ imgboot images');
    const listing = await inRoot([...imgboot, 'mkinitramfs', '--help']);
    expect(listing.stdout).toContain('--modules');
  });

  it('the .deb installs a command, and its removal leaves nothing', async () => {
    await cp(deb, path.join(root, 'imgboot.deb'));
    // What it depends on and minbase lacks is not the matter here.
    await inRoot(['dpkg', '--install', '--force-depends', '/imgboot.deb']);
    expect((await inRoot(['imgboot', '--version'])).stdout).toMatch(/^imgboot\//);
    expect(await readdir(path.join(root, 'usr/share/man/man1'))).toContain('imgboot.1.gz');
    const units = path.join(root, 'usr/lib/systemd/system');
    expect(await readdir(units)).toEqual(
      expect.arrayContaining(['imgboot-upgrade.service', 'imgboot-upgrade.timer']),
    );
    await inRoot(['dpkg', '--purge', 'imgboot']);
    expect((await readdir(units).catch(() => [])).join()).not.toContain('imgboot');
    await expect(readdir(path.join(root, 'usr/lib/imgboot'))).rejects.toThrow('ENOENT');
  });

  it('no file of them is owned by anyone but root, or writable to others', async () => {
    const { stdout } = await execa('tar', ['-tvzf', tarball, '--numeric-owner']);
    const foreign = stdout
      .split('\n')
      .filter((line) => !/^[dl-]r[w-][x-]r-[x-]r-[x-] 0\/0 /.test(line) && !line.startsWith('l'));
    expect(foreign).toEqual([]);
  });

  it('the same sources make the same bytes', { timeout: 400_000 }, async () => {
    const again = path.join(directory.path, 'again');
    await mkdir(again);
    await makePackages(again);
    expect(await digest(await only(again, '.tar.gz'))).toBe(await digest(tarball));
    expect(await digest(await only(again, '.deb'))).toBe(await digest(deb));
    await rm(again, { recursive: true });
  });
});

async function makePackages(output: string): Promise<void> {
  await execa(process.execPath, ['qemu/package.ts', output], {
    cwd: repository,
    env: { ...sourceDate, PATH: `${path.join(repository, 'node_modules/.bin')}:${process.env['PATH']}` },
  });
}

async function only(directory: string, ending: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(ending));
  expect(names).toHaveLength(1);
  return path.join(directory, names[0]!);
}

async function digest(file: string): Promise<string> {
  const { stdout } = await execa('sha256sum', [file]);
  return stdout.split(' ')[0]!;
}
