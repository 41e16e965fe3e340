import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { joinProfiles, parseProfile, profileText, type MachineProfile } from './machine-profile.ts';
import { recordMachine } from './record-machine.ts';
import { readRootStack, type KernelViews } from './root-stack.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;

function views(files: FileTree): KernelViews {
  const root = path.join(directory, String(count++));
  mkdirSync(root);
  writeTree(root, files);
  return { sys: path.join(root, 'sys'), proc: path.join(root, 'proc') };
}

function record(files: FileTree): MachineProfile {
  return recordMachine(views(files));
}

const block = 'sys/devices/pci0/block';

/** LUKS on LVM on a RAID of two disks, and a separate /usr on a partition. */
const stacked: FileTree = {
  'proc/self/mountinfo': [
    '22 1 0:20 / /proc rw - proc proc rw',
    '30 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw',
    '31 30 8:17 / /usr ro - xfs /dev/sdb1 rw',
    '32 30 0:25 / /tmp rw - tmpfs tmpfs rw',
    '33 30 7:0 / /mnt/with\\040blank rw - vfat /dev/loop0 rw',
  ].join('\n'),
  'sys/dev/block/253:1': `-> ../../devices/virtual/block/dm-1`,
  'sys/dev/block/8:17': `-> ../../devices/pci0/block/sdb/sdb1`,
  'sys/devices/virtual/block/dm-1/dm/uuid': 'CRYPT-LUKS2-0123456789abcdef0123456789abcdef-root\n',
  'sys/devices/virtual/block/dm-1/slaves/dm-0': '-> ../../dm-0',
  'sys/devices/virtual/block/dm-0/dm/uuid': 'LVM-AAAABBBBCCCCDDDD\n',
  'sys/devices/virtual/block/dm-0/slaves/md0': '-> ../../md0',
  'sys/devices/virtual/block/md0/md/level': 'raid1\n',
  'sys/devices/virtual/block/md0/slaves/sda': `-> ../../../../pci0/block/sda`,
  [`${block}/sda/size`]: '8\n',
  [`${block}/sdb/size`]: '8\n',
  [`${block}/sdb/serial`]: 'SERIAL-NUMBER-4711\n',
  [`${block}/sdb/sdb1/partition`]: '1\n',
};

describe('recordMachine', () => {
  it('names each kind of device, with the module that drives it', () => {
    const { modaliases } = record({
      'sys/bus/pci/devices/0000:00:01.0/modalias': 'pci:v00008086d00002922\n',
      'sys/bus/pci/devices/0000:00:01.0/driver/module': '-> ../../../../../module/ahci-platform',
      'sys/module/ahci-platform/refcnt': '1\n',
      'sys/bus/pci/devices/0000:00:02.0/modalias': 'pci:v00008086d00002922\n',
      'sys/bus/usb/devices/1-1/serial': 'SERIAL-NUMBER-4711\n',
      'sys/bus/usb/devices/1-1/modalias': 'usb:v1d6Bp0002\n',
      'sys/bus/usb/devices/1-2/uevent': 'no alias\n',
      'sys/devices/system/cpu/modalias': 'cpu:type:x86,ven0000\n',
    });
    expect(modaliases).toEqual({
      'cpu:type:x86,ven0000': null,
      'pci:v00008086d00002922': 'ahci_platform',
      'usb:v1d6Bp0002': null,
    });
  });

  it('sees through LUKS, LVM and RAID down to the disks', () => {
    expect(record(stacked).root).toEqual({
      filesystems: ['ext4', 'xfs'],
      layers: ['dm-crypt', 'lvm', 'md-raid1'],
    });
  });

  it('sees what another path lies on', () => {
    expect(readRootStack(views(stacked), ['/usr/lib/x'])).toEqual({ filesystems: ['xfs'], layers: [] });
  });

  it('sees all members of a btrfs, whose device number is no disk', () => {
    const { root } = record({
      'proc/self/mountinfo': '30 1 0:30 /@ / rw - btrfs /dev/sdz3 rw,subvol=/@',
      'sys/fs/btrfs/features/x': '',
      'sys/fs/btrfs/1234/devices/sdz3': `-> ../../../../devices/pci0/block/sdz/sdz3`,
      'sys/fs/btrfs/1234/devices/dm-5': `-> ../../../../devices/virtual/block/dm-5`,
      [`${block}/sdz/sdz3/partition`]: '3\n',
      'sys/devices/virtual/block/dm-5/dm/uuid': 'CRYPT-LUKS2-0-x\n',
    });
    expect(root).toEqual({ filesystems: ['btrfs'], layers: ['dm-crypt'] });
  });

  it('finds the disk under a root that is an overlay, by the store that is mounted', () => {
    const { root } = record({
      'proc/self/mountinfo': [
        '30 1 0:30 / / rw - overlay overlay rw,lowerdir=/a',
        '31 30 8:1 /store /var/lib/imgboot ro - ext4 /dev/sda1 rw',
      ].join('\n'),
      'sys/dev/block/8:1': `-> ../../devices/pci0/block/sda/sda1`,
      [`${block}/sda/sda1/partition`]: '1\n',
    });
    expect(root).toEqual({ filesystems: ['ext4'], layers: [] });
  });

  it('says nothing by which the machine could be known', () => {
    expect(profileText(record(stacked))).not.toMatch(/SERIAL|0123456789abcdef|AAAABBBB|sd[ab]/);
  });

  it('is empty where the kernel shows nothing', () => {
    expect(record({})).toEqual({
      version: 1,
      modaliases: {},
      firmware: [],
      root: { filesystems: [], layers: [] },
    });
  });
});

const one: MachineProfile = {
  version: 1,
  modaliases: { 'pci:b': null, 'pci:a': 'ahci' },
  firmware: ['b.bin'],
  root: { filesystems: ['btrfs'], layers: [] },
};

describe('joinProfiles', () => {
  it('serves all machines that went in, in one order', () => {
    const other: MachineProfile = {
      version: 1,
      modaliases: { 'pci:b': 'nvme', 'pci:a': null },
      firmware: ['a.bin', 'b.bin'],
      root: { filesystems: ['ext4'], layers: ['lvm'] },
    };
    const fleet = joinProfiles([one, other]);
    expect(fleet).toEqual({
      version: 1,
      modaliases: { 'pci:a': 'ahci', 'pci:b': 'nvme' },
      firmware: ['a.bin', 'b.bin'],
      root: { filesystems: ['btrfs', 'ext4'], layers: ['lvm'] },
    });
    expect(profileText(joinProfiles([other, one]))).toBe(profileText(fleet));
  });
});

describe('parseProfile', () => {
  it('reads what was written', () => {
    expect(parseProfile(profileText(one), 'x')).toEqual(joinProfiles([one]));
  });

  it.each([
    ['', 'Unexpected end of JSON input'],
    ['null', 'it is no JSON object'],
    ['{"version": 2}', 'its version is 2, and not 1'],
    ['{"version": 1}', 'its modaliases are no names with drivers'],
    ['{"version": 1, "modaliases": {"a": 1}}', 'its modaliases are no names with drivers'],
    ['{"version": 1, "modaliases": {}, "firmware": [1]}', 'its firmware is no list of names'],
    ['{"version": 1, "modaliases": {}, "firmware": []}', 'its root has no filesystems and layers'],
  ])('refuses %j', (text, why) => {
    expect(() => parseProfile(text, 'p.json')).toThrow(
      expect.objectContaining({
        code: 'IMGBOOT_BAD_PROFILE',
        message: `p.json is no profile of a machine: ${why}`,
      }),
    );
  });
});
