import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree } from '../../test/support/file-tree.ts';
import { RootedTree } from '../system/rooted.ts';
import { checkProfile } from './check-profile.ts';
import { Contents } from './contents.ts';
import type { MachineProfile } from './machine-profile.ts';
import { ModuleIndex } from './module-index.ts';
import {
  askedModules,
  parseModuleSelection,
  type ModuleRule,
  type ModuleSelection,
} from './module-request.ts';
import { selectModules, type SelectedModules } from './module-selection.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

const root = path.join(directory, 'root');
const tables = 'lib/modules/6.1';
writeTree(root, {
  [`${tables}/modules.dep`]: [
    'kernel/drivers/ata/ahci.ko.xz: kernel/drivers/ata/libata.ko',
    'kernel/drivers/ata/libata.ko:',
    'kernel/drivers/ata/sata_old.ko: kernel/drivers/ata/libata.ko',
    'kernel/drivers/net/e1000.ko:',
    'kernel/drivers/net/e1000e.ko: kernel/drivers/net/mii-core.ko',
    'kernel/drivers/net/mii-core.ko:',
    'kernel/drivers/odd/broken.ko: kernel/drivers/odd/gone.ko',
    'kernel/drivers/md/dm-crypt.ko: kernel/drivers/md/dm-mod.ko',
    'kernel/drivers/md/dm-mod.ko:',
    'kernel/fs/btrfs.ko:',
    'kernel/fs/xfs.ko:',
    'kernel/fs/helper.ko:',
    'kernel/cycle/a.ko:',
    'kernel/cycle/b.ko:',
  ].join('\n'),
  [`${tables}/modules.softdep`]: 'softdep btrfs pre: helper\nsoftdep a pre: b\nsoftdep b pre: a post: a\n',
  [`${tables}/modules.alias`]: [
    'alias pci:v*d*bc01sc06i01* ahci',
    'alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000',
    'alias of:N*T*Cvendor,disk-[0-9] sata_old',
    'alias platform:my_disk sata_old',
  ].join('\n'),
  [`${tables}/modules.builtin`]: 'kernel/fs/ext4.ko\n',
  [`${tables}/modules.weakdep`]: 'weakdep sata-old e1000 no_such\n',
  'hooks/contents/modules/universal': 'kernel/drivers/ata/ !sata_o* \n@root-fs btrfs xfs\n',
  'hooks/contents/modules/cycle': 'a\n',
  'hooks/contents/modules/outer': '@include cycle\n@include outer\nhelper\n',
  'hooks/contents/modules/odd': 'broken\n',
  'hooks/contents/machine': 'helper # always\n',
  'hooks/contents/layers': 'dm-crypt dm-crypt no_such_cipher\n',
});
const index = new ModuleIndex(new RootedTree(root), '6.1');
const contents = new Contents(path.join(root, 'hooks'));

function select(selection: Partial<ModuleSelection>): SelectedModules {
  return selectModules(index, { sets: [], names: [], ...selection }, contents);
}

function names(selection: Partial<ModuleSelection>): string[] {
  return select(selection)
    .modules.map(({ name }) => name)
    .sort();
}

function rules(...words: string[]): ModuleRule[] {
  return words.map((word) => ({ verb: word[0] === '+' ? 'add' : 'omit', pattern: word.slice(1) }));
}

const machine: MachineProfile = {
  version: 1,
  modaliases: {
    'pci:v00008086d00002922sv0sd0bc01sc06i01': 'ahci',
    'pci:v00008086d0000100Esv0sd0bc02sc00i00': 'e1000',
  },
  firmware: [],
  root: { filesystems: ['ext4'], layers: ['dm-crypt'] },
};

describe('selectModules', () => {
  it('brings a set with what it needs, hard and soft', () => {
    expect(names({ sets: ['universal'] })).toEqual(['ahci', 'btrfs', 'helper', 'libata', 'xfs']);
  });

  it('puts the asked-for root file systems in place of those of the set', () => {
    expect(names({ sets: ['universal'], filesystems: ['xfs'] })).toEqual(['ahci', 'libata', 'xfs']);
    expect(names({ sets: ['universal'], filesystems: ['ext4'] })).toEqual(['ahci', 'libata']);
    expect(() => select({ sets: ['universal'], filesystems: ['zfs'] })).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_NO_SUCH_MODULE' }),
    );
  });

  it.each<[string[], string[]]>([
    [['+e1000*'], ['e1000', 'e1000e', 'mii_core']],
    [
      ['+kernel/drivers/net/*', '-e1000'],
      ['e1000e', 'mii_core'],
    ],
    [
      ['+kernel/drivers/net/*', '-e1000*', '+e1000'],
      ['e1000', 'mii_core'],
    ],
    [
      ['-e1000', '+e1000*'],
      ['e1000', 'e1000e', 'mii_core'],
    ],
    [['+mii-core'], ['mii_core']],
    [['+kernel/drivers/net/e1000'], ['e1000']],
    [['+ext4'], []],
  ])('of %j, the last that matches a module decides', (words, expected) => {
    expect(names({ rules: rules(...words) })).toEqual(expected);
  });

  it('leaves out what needs an omitted module, and says so', () => {
    const selected = select({ sets: ['universal'], rules: rules('-libata') });
    expect(selected.modules.map(({ name }) => name)).toEqual(['btrfs', 'helper', 'xfs']);
    expect(selected.warnings).toEqual(['ahci is left out: it needs libata, which --omit leaves out']);
  });

  it('does without an omitted soft dependency', () => {
    expect(names({ sets: ['universal'], rules: rules('-helper') })).toContain('btrfs');
  });

  it('refuses an --add that matches nothing, and warns of such an --omit', () => {
    expect(() => select({ rules: rules('+warp*') })).toThrow(
      expect.objectContaining({
        code: 'IMGBOOT_NO_SUCH_MODULE',
        message: 'the kernel 6.1 has no module that "warp*" matches',
      }),
    );
    expect(select({ rules: rules('-warp*') }).warnings).toEqual([
      '--omit: the kernel 6.1 has no module that "warp*" matches',
    ]);
  });

  it('brings what a module may want later, but loads it with nothing', () => {
    const selected = select({ names: ['sata_old'] });
    expect(selected.modules.map(({ name }) => name)).toEqual(['libata', 'sata_old', 'e1000']);
    expect(selected.loadAtOnce.map(({ name }) => name)).toEqual(['libata', 'sata_old']);
  });

  it('goes once around a cycle of soft dependencies', () => {
    expect(names({ sets: ['cycle'] })).toEqual(['a', 'b']);
  });

  it('includes one set in another, and itself not for ever', () => {
    expect(names({ sets: ['outer'] })).toEqual(['a', 'b', 'helper']);
  });

  it('names the module that cannot load because the kernel lacks what it needs', () => {
    expect(select({ sets: ['odd'] }).warnings).toEqual([
      'kernel/drivers/odd/broken.ko needs gone, which the kernel 6.1 does not have',
    ]);
  });

  it("brings a machine's drivers out of the universal set, its root's modules, and what all have", () => {
    const selected = select({ machines: [machine] });
    expect(selected.modules.map(({ name }) => name)).toEqual([
      'ahci',
      'libata',
      'dm_crypt',
      'dm_mod',
      'helper',
    ]);
    expect([...selected.builtin]).toEqual(['ext4']);
    expect(selected.strips).toBe(false);
    expect(names({ machines: [machine], filesystems: ['xfs'] })).toContain('xfs');
  });

  it('brings what a root lies on into a set that leaves it out, and asks for what opens it', () => {
    const selection = { sets: ['cycle'], names: [], roots: [{ filesystems: ['xfs'], layers: ['dm-crypt'] }] };
    expect(names(selection)).toEqual(['a', 'b', 'dm_crypt', 'dm_mod', 'xfs']);
    expect(askedModules(selection, contents)).toContain('dm_crypt');
    expect(askedModules({ ...selection, roots: [] }, contents)).not.toContain('dm_crypt');
  });

  it('says what brought each module', () => {
    const { causes } = select({ sets: ['universal'], rules: rules('+e1000e') });
    expect(Object.fromEntries(causes)).toEqual({
      'kernel/drivers/ata/ahci.ko.xz': 'modules of kernel/drivers/ata/',
      'kernel/drivers/ata/libata.ko': 'modules of kernel/drivers/ata/',
      'kernel/drivers/net/e1000e.ko': '--add e1000e',
      'kernel/drivers/net/mii-core.ko': '--add e1000e',
      'kernel/fs/btrfs.ko': 'module btrfs',
      'kernel/fs/helper.ko': 'module btrfs',
      'kernel/fs/xfs.ko': 'module xfs',
    });
  });
});

describe('parseModuleSelection', () => {
  it('looks at this machine for host, and reads profile:FILE', () => {
    writeTree(directory, { 'p.json': JSON.stringify(machine) });
    const selection = parseModuleSelection(`host,profile:${directory}/p.json,nbd`, contents);
    expect(selection).toMatchObject({ sets: [], names: ['nbd'], machines: [{ version: 1 }, machine] });
    expect(() => parseModuleSelection('profile:/no/such/file', contents)).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_CANNOT_READ' }),
    );
  });
});

describe('checkProfile', () => {
  it('says what the image lacks for the machine', () => {
    writeTree(root, { 'usr/lib/firmware/here.bin.zst': '', lib2: '' });
    const profile: MachineProfile = {
      version: 1,
      modaliases: {
        ...machine.modaliases,
        'pci:unknown': 'warp_drive',
        'pci:undriven': null,
        'of:NxTyCvendor,disk-7': 'other_name',
        'platform:my-disk': 'other_name',
      },
      firmware: ['absent.bin'],
      root: { filesystems: ['ext4', 'zfs'], layers: ['dm-crypt', 'bcache'] },
    };
    const found = checkProfile({ root, profile, kver: undefined });
    expect(found.map(({ kind, subject }) => `${kind} ${subject}`)).toEqual([
      'root zfs',
      'root bcache',
      'driver pci:unknown',
      'firmware absent.bin',
    ]);
  });
});
