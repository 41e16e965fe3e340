import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { RootedTree } from '../system/rooted.ts';
import { ArchivePlan } from './archive-plan.ts';
import { planConsole } from './console-setup.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;

async function consoleOf(
  files: FileTree,
): Promise<{ keymap: Buffer | undefined; font: Buffer | undefined; warnings: string[] }> {
  const root = path.join(directory, String(count++));
  writeTree(root, { 'etc/x': '', ...files });
  const plan = new ArchivePlan();
  const warnings: string[] = [];
  await planConsole(plan, new RootedTree(root), warnings);
  const content = (name: string): Buffer | undefined => {
    const entry = entries.find(({ path }) => path === name);
    return entry?.kind === 'file' ? (entry.content.load as () => Buffer)() : undefined;
  };
  const entries = plan.take();
  return { keymap: content('/etc/imgboot/keymap'), font: content('/etc/imgboot/font'), warnings };
}

const keymapText = 'keymaps 0-2,4-6,8,12\nkeycode 21 = z\nkeycode 44 = y\n';
const compiled = execFileSync('loadkeys', ['--quiet', '--unicode', '--bkeymap', '-'], { input: keymapText });
const font = Buffer.concat([Buffer.from([0x72, 0xb5, 0x4a, 0x86]), Buffer.alloc(100)]);
const shared: FileTree = {
  'usr/share/kbd/keymaps/i386/qwertz/de.map.gz': gzipSync('# German\ninclude "de-half"\nkeycode 44 = y\n'),
  'usr/share/kbd/keymaps/i386/include/de-half.inc': 'keymaps 0-2,4-6,8,12\nkeycode 21 = z\n',
  'usr/share/kbd/keymaps/i386/loop': '-> ..',
  'usr/share/kbd/consolefonts/big.psfu.gz': gzipSync(font),
};

describe('planConsole', () => {
  it('compiles the keymap of vconsole.conf with what it includes, and unpacks the font', async () => {
    const made = await consoleOf({ ...shared, 'etc/vconsole.conf': 'KEYMAP="de"\nFONT=big # large\n' });
    expect(made.warnings).toEqual([]);
    expect(made.keymap?.equals(compiled)).toBe(true);
    expect(made.font?.equals(font)).toBe(true);
  });

  it('takes what console-setup keeps for /etc/default/keyboard', async () => {
    const made = await consoleOf({
      'etc/default/keyboard': "XKBMODEL='pc105'\nXKBLAYOUT='de'\n",
      'etc/console-setup/cached_UTF-8_del.kmap.gz': gzipSync(keymapText),
      'etc/console-setup/cached_setup_font.sh': "#!/bin/sh\nsetfont '/etc/console-setup/Lat15.psf.gz' \n",
      'etc/console-setup/Lat15.psf.gz': gzipSync(font),
    });
    expect(made.warnings).toEqual([]);
    expect(made.keymap?.equals(compiled)).toBe(true);
    expect(made.font?.equals(font)).toBe(true);
  });

  it.each<[string, FileTree]>([
    ['nothing is configured', {}],
    ['the keymap is the one that the kernel has', { 'etc/vconsole.conf': 'KEYMAP=us\n' }],
    [
      'the layout is the one that the kernel has',
      { 'etc/default/keyboard': 'XKBLAYOUT="us"\nXKBVARIANT=""\n' },
    ],
  ])('brings nothing where %s', async (_, files) => {
    expect(await consoleOf(files)).toEqual({ keymap: undefined, font: undefined, warnings: [] });
  });

  it.each<[string, FileTree, string]>([
    [
      'the keymap is not there',
      { 'etc/vconsole.conf': 'KEYMAP=fr\n' },
      "the image's keymap fr is in none of /usr/share/kbd/keymaps, /usr/lib/kbd/keymaps, /usr/share/keymaps",
    ],
    [
      'the font is not there',
      { 'etc/vconsole.conf': 'FONT=x\n' },
      "the image's console font x is in none of /usr/share/kbd/consolefonts, /usr/lib/kbd/consolefonts, /usr/share/consolefonts",
    ],
    [
      'console-setup has no keymap',
      { 'etc/default/keyboard': 'XKBLAYOUT=fr\n' },
      "the image's keyboard layout fr is not in the initramfs: /etc/console-setup has no keymap of it (run setupcon --save-only in the image)",
    ],
    [
      'the keymap includes itself',
      { 'etc/vconsole.conf': 'KEYMAP=me\n', 'usr/share/kbd/keymaps/me.map': 'include "me"\nnonsense here\n' },
      'the keymap me is not in the initramfs: loadkeys failed: ',
    ],
  ])('says so where %s', async (_, files, warning) => {
    const made = await consoleOf(files);
    expect(made.keymap).toBeUndefined();
    expect(made.warnings).toHaveLength(1);
    expect(made.warnings[0]!.startsWith(warning)).toBe(true);
  });
});
