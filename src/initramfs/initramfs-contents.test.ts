import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { elfProgram } from '../../test/support/elf-program.ts';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { kernelModule } from '../../test/support/kernel-module.ts';
import { catMember } from './cat-member.ts';
import { explainInitramfs } from './explain.ts';
import { parseInclude } from './include.ts';
import type { MachineProfile } from './machine-profile.ts';
import { makeInitramfs, type InitramfsReport, type InitramfsRequest } from './make-initramfs.ts';
import { readInitramfs } from './read-initramfs.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

const modules = 'usr/lib/modules/6.1';
const image: FileTree = {
  lib: '-> usr/lib',
  'boot/config-6.1': 'CONFIG_RD_ZSTD=y\nCONFIG_MICROCODE=y\n',
  [`${modules}/modules.dep`]:
    'kernel/drivers/disk.ko: kernel/drivers/bus.ko\nkernel/drivers/bus.ko:\nkernel/fs/fs.ko:\n',
  [`${modules}/kernel/drivers/disk.ko`]: kernelModule(['firmware=disk.bin']),
  [`${modules}/kernel/drivers/bus.ko`]: kernelModule([]),
  [`${modules}/kernel/fs/fs.ko`]: kernelModule([]),
  'usr/lib/firmware/disk.bin': 'firmware of the disk',
};

const hooks: FileTree = {
  'contents/modules/universal': '@microcode kernel/drivers/\n@root-fs fs\n',
  'contents/modules/small': 'bus\n',
  'contents/machine': 'bus\n',
  'contents/layers': '# none\n',
  'contents/programs': '# none\n',
  'contents/applets': '/usr/bin/sh\n',
  'contents/directories': '/proc\n',
  'contents/files': 'own/init /init 0755\n',
  'own/init': '#!/bin/sh\n',
};

let root: string;
let work: string;
let output: string;
let count = 0;

beforeEach(() => {
  work = path.join(directory, String(count++));
  root = path.join(work, 'root');
  output = path.join(work, 'initrd.img');
  writeTree(root, image);
  writeTree(path.join(work, 'hooks'), hooks);
  writeTree(work, { 'initrd.img': 'the old one' });
});

async function make(request: Partial<InitramfsRequest> = {}): Promise<InitramfsReport> {
  return await makeInitramfs({
    root,
    modules: { sets: ['universal'], names: [] },
    compression: { format: 'none' },
    output,
    hooksDir: path.join(work, 'hooks'),
    ...request,
  });
}

async function file(name: string): Promise<string> {
  return (await catMember(output, name)).toString('latin1');
}

async function names(): Promise<string[]> {
  return (await readInitramfs(output)).members.map(({ name }) => name);
}

function machine(cpu: string): MachineProfile {
  return { version: 1, modaliases: { [cpu]: null }, firmware: [], root: { filesystems: [], layers: [] } };
}

describe('microcode', () => {
  const intel = 'usr/lib/firmware/intel-ucode';
  const amd = 'usr/lib/firmware/amd-ucode';
  const microcode: FileTree = {
    [`${intel}/06-9e-0a`]: 'intel 06-9e-0a ',
    [`${intel}/06-9e-09.xz`]: execFileSync('xz', ['-c'], { input: 'intel 06-9e-09 ' }),
    [`${intel}/06-01-02`]: 'intel 06-01-02 ',
    [`${intel}/readme`]: 'no microcode',
    [`${amd}/microcode_amd.bin`]: 'amd old ',
    [`${amd}/microcode_amd_fam17h.bin.zst`]: zstdCompressSync(Buffer.from('amd 17h ')),
  };
  const member = (name: string): string => `kernel/x86/microcode/${name}.bin`;

  it('lies first in the file, uncompressed and aligned as processors want it', async () => {
    writeTree(root, microcode);
    expect((await make({ compression: { format: 'zstd' } })).hasMicrocode).toBe(true);
    expect((await readInitramfs(output)).formats).toEqual(['cpio', 'zstd']);
    expect(await file(member('GenuineIntel'))).toBe('intel 06-01-02 intel 06-9e-09 intel 06-9e-0a ');
    expect(await file(member('AuthenticAMD'))).toBe('amd old amd 17h ');
    const bytes = readFileSync(output);
    for (const text of ['intel 06-01-02 ', 'amd old ']) expect(bytes.indexOf(text) % 16).toBe(0);
    const cpio = execFileSync('sh', ['-c', 'cpio -t --quiet < "$1"', 'sh', output]).toString();
    expect(cpio.trim().split('\n')).toContain(member('GenuineIntel'));
    expect((await names()).slice(0, 3)).toEqual(['kernel', 'kernel/x86', 'kernel/x86/microcode']);
  });

  it.each([
    ['cpu:type:x86,ven0000fam0006mod009E:feature:,0000', 'GenuineIntel', 'intel 06-9e-09 intel 06-9e-0a '],
    ['cpu:type:x86,ven0002fam0017mod0031:feature:,0000', 'AuthenticAMD', 'amd 17h '],
    ['cpu:type:x86,ven0002fam0010mod0002:feature:,0000', 'AuthenticAMD', 'amd old '],
  ])("is that of the machine's processor %s", async (cpu, vendor, expected) => {
    writeTree(root, microcode);
    await make({ modules: { sets: [], names: [], machines: [machine(cpu)] } });
    expect((await names()).filter((name) => name.endsWith('.bin') && name.startsWith('kernel'))).toEqual([
      member(vendor),
    ]);
    expect(await file(member(vendor))).toBe(expected);
  });

  it('stays out where nothing asks for it, the image has none, or the kernel cannot use it', async () => {
    expect((await make()).hasMicrocode).toBe(false);
    writeTree(root, microcode);
    expect((await make({ modules: { sets: ['small'], names: [] } })).hasMicrocode).toBe(false);
    writeFileSync(path.join(root, 'boot/config-6.1'), 'CONFIG_RD_ZSTD=y\n');
    expect((await make()).hasMicrocode).toBe(false);
  });
});

describe('--include', () => {
  it('brings files and directories of this machine, links as links, names of any kind', async () => {
    writeTree(work, {
      'mine/key': 'secret',
      'mine/sub/grün\nzwei': 'odd',
      'mine/link': '-> key',
      program: elfProgram({ needed: ['libc.so.6', 'libnowhere.so.1'] }),
    });
    chmodSync(path.join(work, 'mine/key'), 0o400);
    const { warnings } = await make({
      includes: [parseInclude(`${work}/mine:/etc/mine/`), parseInclude(`${work}/program:/usr/bin/a:b`)],
    });
    const { members } = await readInitramfs(output);
    const key = members.find(({ name }) => name === 'etc/mine/key')!;
    expect([key.mode.toString(8), key.uid]).toEqual(['100400', 0]);
    expect(members.find(({ name }) => name === 'etc/mine/link')?.target).toBe('key');
    expect(await file('etc/mine/sub/grün\nzwei')).toBe('odd');
    expect(warnings).toEqual([`${work}/program needs libc.so.6, libnowhere.so.1: include that, too`]);
    expect((await explainInitramfs(output)).map(({ cause }) => cause)).toContain(`--include ${work}/mine`);
  });

  it('reads SRC:DST with colons in SRC, and refuses what is none', () => {
    expect(parseInclude('a:b:/c')).toEqual({ source: 'a:b', destination: '/c' });
    for (const text of ['a', 'a:b', ':/b', 'a:/', 'a:/../b', '']) {
      expect(() => parseInclude(text)).toThrow(expect.objectContaining({ code: 'IMGBOOT_USAGE' }));
    }
  });

  it('names what is not there, and a name that is not UTF-8', async () => {
    await expect(make({ includes: [{ source: '/no/such', destination: '/x' }] })).rejects.toMatchObject({
      code: 'IMGBOOT_NO_SUCH_FILE',
      message: 'there is no /no/such to include',
    });
    const odd = path.join(work, 'odd');
    mkdirSync(odd);
    writeFileSync(Buffer.concat([Buffer.from(`${odd}/`), Buffer.from([0xff, 0xfe])]), '');
    await expect(make({ includes: [{ source: odd, destination: '/x' }] })).rejects.toMatchObject({
      code: 'IMGBOOT_BAD_NAME',
    });
    expect(readFileSync(output, 'utf8')).toBe('the old one');
  });
});

describe('modprobe.d of the image', () => {
  it('goes in; its options reach insmod, its soft dependencies count, its commands are reported', async () => {
    writeTree(root, {
      'etc/modprobe.d/mine.conf':
        '# options bus never=1\noptions disk depth=4 \\\n  cache=on\nsoftdep disk pre: fs\ninstall fs /bin/false\n',
      'etc/modprobe.d/grün.conf': 'blacklist bus\n',
      'usr/lib/modprobe.d/mine.conf': 'options disk hidden=1\n',
    });
    const { warnings } = await make({ modules: { sets: [], names: ['disk'] } });
    expect(await file('etc/imgboot/modules.options')).toBe(
      '/lib/modules/6.1/kernel/drivers/disk.ko depth=4 cache=on\n',
    );
    expect(await file('etc/imgboot/modules.load')).toContain('fs.ko');
    expect(await names()).toContain('etc/modprobe.d/grün.conf');
    expect(warnings).toEqual([
      '/etc/modprobe.d/mine.conf: install fs /bin/false: the initramfs loads fs and runs no command for it; --omit fs leaves it out',
    ]);
  });
});

describe('what the bytes are for', () => {
  it('is written into the file, and told of it', async () => {
    const { causes } = await make();
    const expected = [
      'busybox',
      'firmware of disk, pulled by modules of kernel/drivers/',
      'imgboot',
      'module fs',
      'module index',
      'modules of kernel/drivers/',
    ];
    expect(causes.map(({ cause }) => cause).sort()).toEqual(expected);
    const rows = await explainInitramfs(output);
    expect(rows.map(({ cause }) => cause).sort()).toEqual(expected);
    expect(rows[0]!.cause).toBe('busybox');
  });

  it('names what to omit where the file would be too large, and leaves the old one', async () => {
    await expect(make({ maxBytes: 1000 })).rejects.toMatchObject({
      code: 'IMGBOOT_TOO_LARGE',
      message: expect.stringMatching(
        /^\S+ would have \d\.\d MB, and --max-size allows 0\.0 MB; nothing was written$/,
      ),
      // bus is needed by disk.
      hint: expect.stringMatching(
        /^leave out what the machine does not need: --omit (disk|fs) \(0\.0 MB\), --omit (disk|fs) \(0\.0 MB\)$/,
      ),
    });
    expect(readFileSync(output, 'utf8')).toBe('the old one');
    await make({ maxBytes: 100_000_000 });
  });
});

describe('--compare', () => {
  it('says what is new, gone and changed, also against the file that is replaced', async () => {
    await make();
    expect((await make({ compareWith: output })).comparison).toEqual({ added: [], removed: [], changed: [] });
    rmSync(path.join(root, 'usr/lib/firmware/disk.bin'));
    writeTree(root, { 'etc/modprobe.d/new.conf': '# new\n' });
    const changed = kernelModule(['license=X']);
    writeFileSync(path.join(root, modules, 'kernel/drivers/bus.ko'), changed);
    const { comparison } = await make({ compareWith: output });
    expect(comparison?.added).toContainEqual({ path: 'etc/modprobe.d/new.conf', sizeBytes: 6 });
    expect(comparison?.removed).toContainEqual({ path: 'usr/lib/firmware/disk.bin', sizeBytes: 20 });
    expect(comparison?.changed).toContainEqual({
      path: `${modules}/kernel/drivers/bus.ko`,
      oldBytes: kernelModule([]).length,
      newBytes: changed.length,
    });
  });

  it('refuses an old file that is no initramfs, before anything is written', async () => {
    await expect(make({ compareWith: output })).rejects.toMatchObject({ code: 'IMGBOOT_BAD_INITRAMFS' });
    expect(readFileSync(output, 'utf8')).toBe('the old one');
  });
});

describe('bad input', () => {
  const firmware = 'usr/lib/firmware/disk.bin';

  it('warns of firmware that is a loop of links, or a link to nowhere', async () => {
    for (const target of ['disk.bin', 'nowhere']) {
      rmSync(path.join(root, firmware));
      symlinkSync(target, path.join(root, firmware));
      const { warnings, missingFirmware } = await make();
      expect(warnings).toEqual([
        '/lib/firmware/disk.bin is a link that leads to no file: nowhere, or around in a loop',
      ]);
      expect(missingFirmware).toEqual(['disk.bin']);
    }
  });

  it('warns of a module that is listed and not there', async () => {
    rmSync(path.join(root, modules, 'kernel/drivers/bus.ko'));
    expect((await make()).warnings).toEqual([
      '/lib/modules/6.1/kernel/drivers/bus.ko is in modules.dep, and there is no such file: run depmod -a 6.1',
    ]);
  });

  it('takes a kernel that knows no modules, and asks for those of one that does', async () => {
    rmSync(path.join(root, 'usr/lib/modules'), { recursive: true });
    writeTree(root, {
      'boot/vmlinuz-6.2': 'kernel',
      'boot/config-6.2': 'CONFIG_RD_ZSTD=y\nCONFIG_MODULES=y\n',
    });
    await expect(make()).rejects.toMatchObject({
      code: 'IMGBOOT_NO_KERNEL',
      message: 'the kernel 6.2 has no modules: there is no /lib/modules/6.2',
    });
    writeFileSync(path.join(root, 'boot/config-6.2'), 'CONFIG_RD_ZSTD=y\n# CONFIG_MODULES is not set\n');
    expect(await make()).toMatchObject({ kver: '6.2', kernel: '/boot/vmlinuz-6.2', moduleCount: 0 });
  });

  it('takes a kernel that has everything built in', async () => {
    writeFileSync(path.join(root, modules, 'modules.dep'), '');
    expect((await make()).moduleCount).toBe(0);
    expect(await names()).toContain('init');
  });

  it.each<[string, () => Partial<InitramfsRequest>]>([
    ['a module of 4 GB', () => enlarge(path.join(root, modules, 'kernel/drivers/bus.ko'))],
    ['firmware of 4 GB', () => enlarge(path.join(root, firmware))],
    [
      'busybox of 4 GB',
      () => {
        copyFileSync('/bin/busybox', path.join(root, 'busybox'));
        writeTree(root, { 'usr/bin/x': '' });
        copyFileSync('/bin/busybox', path.join(root, 'usr/bin/busybox'));
        return enlarge(path.join(root, 'usr/bin/busybox'));
      },
    ],
    [
      'an own file of 4 GB',
      () => {
        writeFileSync(path.join(work, 'big'), '');
        enlarge(path.join(work, 'big'));
        return { includes: [{ source: path.join(work, 'big'), destination: '/big' }] };
      },
    ],
  ])('refuses %s by its name, at once', async (_, prepare) => {
    const started = performance.now();
    await expect(make(prepare())).rejects.toMatchObject({
      code: expect.stringMatching(/^IMGBOOT_(ARCHIVE_LIMIT|FILE_TOO_LARGE)$/),
      message: expect.stringMatching(/(bus\.ko|disk\.bin|busybox|big) has 4294967296 bytes/),
    });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(readFileSync(output, 'utf8')).toBe('the old one');
  });

  it('writes in the place of a file only, and behind a link to one', async () => {
    const link = path.join(work, 'link.img');
    symlinkSync('initrd.img', link);
    await make({ output: link });
    expect(await names()).toContain('init');
    for (const place of ['/dev/null', work]) {
      await expect(make({ output: place })).rejects.toMatchObject({ code: 'IMGBOOT_CANNOT_WRITE' });
    }
  });
});

function enlarge(file: string): object {
  truncateSync(file, 2 ** 32);
  return {};
}
