import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { kernelModule, withSignature } from '../../test/support/kernel-module.ts';
import { Contents } from './contents.ts';
import { makeInitramfs, type InitramfsReport, type InitramfsRequest } from './make-initramfs.ts';
import { parseModuleSelection } from './module-request.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

const disk = withSignature(kernelModule(['firmware=disk.bin', 'firmware=absent.bin']));
const bus = kernelModule(['license=GPL']);

/** An image with a kernel of three modules; its programs come from this machine. */
const image: FileTree = {
  lib: '-> usr/lib',
  'boot/vmlinuz-6.1-a': 'kernel',
  'boot/config-6.1-a': 'CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n',
  'usr/lib/modules/6.1-a/modules.dep':
    'kernel/drivers/disk.ko: kernel/drivers/bus.ko\nkernel/drivers/bus.ko:\nkernel/fs/fs.ko:\n',
  'usr/lib/modules/6.1-a/modules.softdep': 'softdep fs pre: disk\n',
  'usr/lib/modules/6.1-a/modules.alias': 'alias pci:v1 disk\nalias pci:v2 other\n',
  'usr/lib/modules/6.1-a/modules.builtin': 'kernel/fs/builtin.ko\n',
  'usr/lib/modules/6.1-a/kernel/drivers/disk.ko': disk,
  'usr/lib/modules/6.1-a/kernel/drivers/bus.ko': bus,
  'usr/lib/modules/6.1-a/kernel/fs/fs.ko': kernelModule([]),
  'usr/lib/firmware/disk.bin': '-> vendor/disk-2.bin',
  'usr/lib/firmware/vendor/disk-2.bin': 'firmware',
};

const hooks: FileTree = {
  'contents/modules/universal': 'kernel/drivers/ +bus builtin not_in_this_kernel\n',
  'contents/modules/stripped': '@strip disk\n',
  'contents/programs': '# what it needs\nls\n',
  'contents/applets': '/usr/bin/sh\n/sbin/modprobe\n/usr/bin/no-such-applet\n',
  'contents/directories': '/proc\n',
  'contents/files': 'lib/*.sh /lib/imgboot/ 0644\nown/init /init 0755\n',
  'lib/imgboot.sh': 'library',
  'own/init': '#!/bin/sh\n',
};

describe('makeInitramfs', () => {
  let root: string;
  let output: string;
  let count = 0;

  beforeEach(() => {
    const work = path.join(directory, String(count++));
    root = path.join(work, 'root');
    output = path.join(work, 'out', 'initrd.img');
    writeTree(root, image);
    writeTree(path.join(work, 'hooks'), hooks);
    writeTree(path.join(work, 'out'), { 'initrd.img': 'the old one' });
  });

  function make(request: Partial<InitramfsRequest> = {}, signal?: AbortSignal): Promise<InitramfsReport> {
    return makeInitramfs(
      {
        root,
        modules: { sets: ['universal'], names: [] },
        compression: { format: 'none' },
        output,
        hooksDir: path.join(root, '../hooks'),
        ...request,
      },
      { signal },
    );
  }

  /** What GNU cpio finds in it. */
  function file(name: string): string {
    return execFileSync('cpio', ['-i', '--quiet', '--to-stdout', name], {
      input: readFileSync(output),
    }).toString();
  }

  function names(): string[] {
    return execFileSync('cpio', ['-t', '--quiet'], { input: readFileSync(output) })
      .toString()
      .trim()
      .split('\n');
  }

  it('has the modules asked for, what they need, and nothing else of the kernel', async () => {
    const report = await make();
    const modules = names().filter((name) => name.endsWith('.ko'));
    expect(modules).toEqual([
      'usr/lib/modules/6.1-a/kernel/drivers/bus.ko',
      'usr/lib/modules/6.1-a/kernel/drivers/disk.ko',
    ]);
    expect(report).toMatchObject({ kver: '6.1-a', kernel: '/boot/vmlinuz-6.1-a', moduleCount: 2 });
  });

  it('tells the init what to load, and in which order', async () => {
    await make({ modules: { sets: ['universal'], names: ['fs'] } });
    const drivers = '/lib/modules/6.1-a/kernel/drivers';
    const fs = '/lib/modules/6.1-a/kernel/fs/fs.ko';
    expect(file('etc/imgboot/modules.order')).toBe(`${drivers}/bus.ko\n${drivers}/disk.ko\n${fs}\n`);
    expect(file('etc/imgboot/modules.load')).toBe(
      [
        `builtin`,
        `bus ${drivers}/bus.ko`,
        `disk ${drivers}/bus.ko ${drivers}/disk.ko`,
        `fs ${drivers}/bus.ko ${drivers}/disk.ko ${fs}`,
        '',
      ].join('\n'),
    );
    expect(file('usr/lib/modules/6.1-a/modules.alias')).toBe('alias pci:v1 disk\n');
    expect(file('usr/lib/modules/6.1-a/modules.dep')).toContain(
      'kernel/drivers/disk.ko: kernel/drivers/bus.ko\n',
    );
    expect(file('etc/imgboot/initramfs.conf')).toContain('kver=6.1-a\nmodules=universal,fs\n');
  });

  it('brings the firmware that its modules name, behind the same links', async () => {
    const report = await make();
    expect(report).toMatchObject({ firmwareCount: 1, missingFirmware: ['absent.bin'] });
    expect(file('usr/lib/firmware/vendor/disk-2.bin')).toBe('firmware');
    expect(names()).toContain('usr/lib/firmware/disk.bin');
  });

  it('takes programs from this machine where the image lacks one, with their libraries', async () => {
    const report = await make();
    expect(report.origin.programs).toBe('host');
    expect(names()).toContain('usr/bin/ls');
    expect(names().filter((name) => /\/libc\.so/.test(name))).not.toEqual([]);
  });

  it('links the applets that busybox has', async () => {
    await make();
    expect(names()).toContain('usr/bin/sh');
    expect(names()).toContain('usr/sbin/modprobe');
    expect(names()).not.toContain('usr/bin/no-such-applet');
  });

  it('is the same bytes each time, with the time of SOURCE_DATE_EPOCH', async () => {
    await make();
    const first = readFileSync(output);
    await make({ root: `${root}/../root` });
    expect(readFileSync(output).equals(first)).toBe(true);
    process.env['SOURCE_DATE_EPOCH'] = '86400';
    try {
      await make();
    } finally {
      delete process.env['SOURCE_DATE_EPOCH'];
    }
    const listing = execFileSync('cpio', ['-tv', '--quiet'], {
      input: readFileSync(output),
      env: { ...process.env, TZ: 'UTC' },
    }).toString();
    expect(
      new Set(
        listing
          .trim()
          .split('\n')
          .map((line) => line.slice(42, 54)),
      ),
    ).toEqual(new Set(['Jan  2  1970']));
  });

  it('gives everything to root, and writable by nobody else', async () => {
    await make();
    const listing = execFileSync('cpio', ['-tvn', '--quiet'], { input: readFileSync(output) }).toString();
    const owners = listing
      .trim()
      .split('\n')
      .map((line) => line.slice(15, 33).trim().split(/\s+/));
    expect(new Set(owners.flat())).toEqual(new Set(['0']));
    expect(listing.split('\n').filter((line) => /^[-d]....w|^[-d].......w/.test(line))).toEqual([]);
  });

  it('strips signatures where the set says so, except from a kernel that enforces them', async () => {
    const modules = { sets: ['stripped'], names: [] };
    const disk = 'usr/lib/modules/6.1-a/kernel/drivers/disk.ko';
    await make({ modules });
    expect(file(disk)).not.toContain('Module signature appended');
    writeFileSync(path.join(root, 'boot/config-6.1-a'), 'CONFIG_MODULE_SIG_FORCE=y\n');
    await make({ modules });
    expect(file(disk)).toContain('Module signature appended');
    await make();
    expect(file(disk)).toContain('Module signature appended');
  });

  it('compresses to what holds the same archive', async () => {
    await make();
    const plain = readFileSync(output);
    for (const format of ['zstd', 'gzip'] as const) {
      await make({ compression: { format, level: 1 } });
      const unpacked = execFileSync(format, ['-dc', '--force', output], { maxBuffer: 2 ** 30 });
      expect(unpacked.equals(plain)).toBe(true);
    }
  });

  it('refuses a compression that the kernel cannot unpack', async () => {
    writeFileSync(path.join(root, 'boot/config-6.1-a'), 'CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\n');
    await expect(make({ compression: { format: 'zstd' } })).rejects.toMatchObject({
      code: 'IMGBOOT_COMPRESSION_UNSUPPORTED',
      hint: 'use --compress gzip or --compress none',
    });
  });

  it('reads nothing outside the root, whatever the image links to', async () => {
    writeFileSync(path.join(directory, 'secret'), 'the secret of the host');
    const modules = path.join(root, 'usr/lib/modules/6.1-a');
    for (const name of ['kernel/drivers/bus.ko', 'modules.alias']) {
      rmSync(path.join(modules, name));
      symlinkSync(`../../../../../../../../../..${directory}/secret`, path.join(modules, name));
    }
    rmSync(path.join(root, 'usr/lib/firmware'), { recursive: true });
    symlinkSync(directory, path.join(root, 'usr/lib/firmware'));
    await make();
    expect(readFileSync(output).includes('the secret of the host')).toBe(false);
    expect(names()).not.toContain('usr/lib/modules/6.1-a/kernel/drivers/bus.ko');
  });

  it('asks for a version where there are several kernels, and names them', async () => {
    writeTree(root, {
      'usr/lib/modules/6.2-b/modules.dep': 'kernel/x.ko:\n',
      'usr/lib/modules/6.2-b/kernel/x.ko': bus,
    });
    await expect(make()).rejects.toMatchObject({
      code: 'IMGBOOT_SEVERAL_KERNELS',
      message: 'there is more than one kernel: 6.1-a, 6.2-b',
      hint: 'choose one with --kver, such as --kver 6.2-b',
    });
    expect((await make({ kver: '6.1-a' })).kver).toBe('6.1-a');
    await expect(make({ kver: '5.0' })).rejects.toMatchObject({ code: 'IMGBOOT_NO_SUCH_KERNEL' });
  });

  it('says what to add to an image without a kernel', async () => {
    for (const gone of ['usr/lib/modules', 'boot']) rmSync(path.join(root, gone), { recursive: true });
    writeTree(root, { 'etc/os-release': 'ID=fedora\n' });
    await expect(make()).rejects.toMatchObject({
      code: 'IMGBOOT_NO_KERNEL',
      hint: 'add one to the Dockerfile: RUN dnf install -y kernel-core kernel-modules',
    });
  });

  it('says which module a kernel does not have', async () => {
    await expect(make({ modules: { sets: [], names: ['bus', 'warp_drive'] } })).rejects.toMatchObject({
      code: 'IMGBOOT_NO_SUCH_MODULE',
      message: 'the kernel 6.1-a has no module warp_drive',
    });
    expect((await make({ modules: { sets: [], names: ['builtin'] } })).moduleCount).toBe(0);
  });

  it.each([
    [
      'a module is damaged',
      () => writeFileSync(path.join(root, 'usr/lib/modules/6.1-a/kernel/drivers/bus.ko'), 'x'),
    ],
    ['a hook is missing', () => rmSync(path.join(root, '../hooks/own/init'))],
    [
      'a program is nowhere',
      () => writeFileSync(path.join(root, '../hooks/contents/programs'), 'warp-drive\n'),
    ],
  ])('leaves the old file and nothing else where %s', async (_, breakIt) => {
    breakIt();
    await expect(make()).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^IMGBOOT_/) }),
    );
    expect(readFileSync(output, 'utf8')).toBe('the old one');
    expect(readdirSync(path.dirname(output))).toEqual(['initrd.img']);
  });

  it('leaves the old file and nothing else when it is stopped', async () => {
    const controller = new AbortController();
    controller.abort(new DOMException('stopped by SIGINT', 'AbortError'));
    await expect(make({}, controller.signal)).rejects.toThrow('stopped by SIGINT');
    expect(readFileSync(output, 'utf8')).toBe('the old one');
    expect(readdirSync(path.dirname(output))).toEqual(['initrd.img']);
  });

  it('sweeps what a killed run left beside the file, and only that', async () => {
    const dead = 0x3fff_ffff;
    writeTree(path.dirname(output), {
      [`.initrd.img.${dead}.imgboot-aside`]: 'half',
      [`.other.img.${dead}.imgboot-aside`]: 'half',
      [`.initrd.img.${process.ppid}.imgboot-aside`]: 'in the works',
    });
    await make();
    expect(readdirSync(path.dirname(output)).sort()).toEqual([
      `.initrd.img.${process.ppid}.imgboot-aside`,
      `.other.img.${dead}.imgboot-aside`,
      'initrd.img',
    ]);
  });

  it('reads sets and single modules from one list, and refuses an empty one', () => {
    const contents = new Contents(path.join(root, '../hooks'));
    expect(parseModuleSelection('universal,nbd,stripped', contents)).toEqual({
      sets: ['universal', 'stripped'],
      names: ['nbd'],
    });
    expect(() => parseModuleSelection(',', contents)).toThrow(
      expect.objectContaining({
        code: 'IMGBOOT_USAGE',
        hint: 'choose stripped, universal, host, profile:FILE, or names of modules',
      }),
    );
  });

  it('says how to get an output directory that is missing', async () => {
    const missing = path.join(path.dirname(output), 'no/such/dir/initrd.img');
    await expect(make({ output: missing })).rejects.toMatchObject({
      code: 'IMGBOOT_CANNOT_WRITE',
      hint: `make the directory first: mkdir -p ${path.dirname(missing)}`,
    });
    expect(existsSync(path.dirname(missing))).toBe(false);
  });
});
