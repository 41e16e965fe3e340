import { describe, expect, it } from 'vitest';
import type { Machine } from '../loader/machine.ts';
import { parseCrypttab } from './crypttab.ts';
import { parseFstab } from './fstab.ts';
import type { HostDevice } from './host-devices.ts';
import type { DiskPlan, Part } from './part.ts';
import { planDisks } from './plan-disks.ts';

const machine: Machine = {
  root: ['root=UUID=root', 'rootfstype=btrfs', 'rootflags=subvolid=5'],
  store: '/imgboot',
  storePath: '/imgboot',
  loader: 'systemd-boot',
  boot: { uuid: 'ABCD-1234', fstype: 'vfat' },
  directory: '/loader',
  owner: 'system',
};
const none = {
  uuid: undefined,
  label: undefined,
  partUuid: undefined,
  partLabel: undefined,
  insideOf: undefined,
};
const devices: HostDevice[] = [
  {
    ...none,
    path: '/dev/sda1',
    type: 'vfat',
    uuid: 'ABCD-1234',
    partUuid: '00000000-0000-0000-0000-000000000001',
  },
  { ...none, path: '/dev/sda2', type: 'btrfs', uuid: 'root', label: 'system' },
  { ...none, path: '/dev/sdb', type: 'btrfs', uuid: 'root', label: 'system' },
  { ...none, path: '/dev/sdc1', type: 'ext4', uuid: 'data', label: 'my data', partUuid: 'abcd1234-01' },
  { ...none, path: '/dev/sdc5', type: 'ext4', uuid: 'logical', partUuid: 'abcd1234-05' },
  { ...none, path: '/dev/sdd', type: 'crypto_LUKS', uuid: 'luks' },
  { ...none, path: '/dev/dm-0', type: 'xfs', uuid: 'inner', insideOf: '/dev/sdd' },
  { ...none, path: '/dev/sde', type: 'crypto_LUKS', uuid: 'closed' },
  { ...none, path: '/dev/sdf', type: 'swap', uuid: 'swap', label: 'sw' },
  { ...none, path: '/dev/sdg', type: 'zfs_member', uuid: '123' },
];

/** The disks beside that with the store and the loader's. */
function plan(fstab: string, crypttab = ''): DiskPlan {
  const made = planDisks({
    machine,
    fstab: parseFstab(fstab),
    crypttab: parseCrypttab(crypttab),
    topLayer: undefined,
    devices,
  });
  expect(made.parts.slice(0, 2).map(({ content }) => content.uuid)).toEqual(['root', 'ABCD-1234']);
  return { ...made, parts: made.parts.slice(2) };
}

const uuids = (parts: readonly Part[]): (string | undefined)[] => parts.map(({ content }) => content.uuid);

describe('the disks that a boot finds', () => {
  it.each([
    ['UUID=data /a ext4', ['data']],
    ['LABEL=my\\040data /a auto', ['data']],
    ['PARTUUID=abcd1234-01 /a ext4', ['data']],
    ['/dev/sdc1 /a ext4\nUUID=data /b ext4', ['data']],
    ['UUID=swap none swap', ['swap']],
    // One device, whatever the entry takes it for: as on the machine itself, the mount is what fails.
    ['UUID=data /a xfs', ['data']],
    ['UUID=root /home btrfs subvol=@home', []],
    ['UUID=data /a ext4 noauto', []],
    ['UUID=nothing /a ext4', []],
    ['UUID=123 /tank zfs nofail', []],
  ])('for %j are %j', (fstab, expected) => {
    expect(uuids(plan(fstab).parts)).toEqual(expected);
  });

  it('do not have what this machine has not, and that is told', () => {
    expect(plan('UUID=nothing /a ext4\nLABEL=no none swap', 'x UUID=nor none').missing).toEqual([
      { file: '/etc/crypttab', source: 'UUID=nor', target: 'x' },
      { file: '/etc/fstab', source: 'UUID=nothing', target: '/a' },
      { file: '/etc/fstab', source: 'LABEL=no', target: 'none' },
    ]);
  });

  it('are the same for the several devices of a btrfs, and have its subvolumes', () => {
    const made = planDisks({
      machine,
      fstab: parseFstab('LABEL=system /home btrfs subvol=/@home,subvolid=260\nUUID=root / btrfs subvolid=5'),
      crypttab: [],
      topLayer: undefined,
      devices,
    });
    expect(made.parts).toHaveLength(2);
    expect(made.parts[0]!.content.subvolumes).toEqual([{ path: '@home', id: 260 }]);
  });

  it('have the directories that something is bound from', () => {
    const [part] = plan('UUID=data /data ext4\n/data/www/a /srv none bind\n/etc/x /y none bind').parts;
    expect(part!.content.directories).toEqual(['www/a']);
  });

  it('have nothing that would lie outside of them', () => {
    const [part] = plan('UUID=data /data ext4\n/data/a/../../../etc/x /srv none bind').parts;
    expect(part!.content.directories).toEqual([]);
    const made = planDisks({
      machine,
      fstab: parseFstab('UUID=root /a btrfs subvol=../../etc/x\nUUID=root /b btrfs subvol=./b/'),
      crypttab: [],
      topLayer: undefined,
      devices,
    });
    expect(made.parts[0]!.content.subvolumes).toEqual([{ path: 'b', id: undefined }]);
  });

  it('are partitions where they are looked for as such, and have the names that are theirs in /dev', () => {
    const [byUuid] = plan('UUID=data /a ext4').parts;
    const [byPart] = plan('PARTUUID=abcd1234-01 /a ext4').parts;
    const [byPath] = plan('/dev/sdc1 /a ext4').parts;
    expect([byUuid!.isPartition, byPart!.isPartition, byPath!.links]).toEqual([false, true, ['/dev/sdc1']]);
  });

  it('are LUKS where crypttab opens them, with what is seen in them', () => {
    const made = plan(
      '/dev/mapper/a /a xfs\nUUID=inner /b xfs\n/dev/mapper/c /c ext4',
      'a UUID=luks /key\nc UUID=closed',
    );
    expect(
      made.parts.map(({ luks, content }) => [luks?.uuid, luks?.key, content.type, content.uuid]),
    ).toEqual([
      ['luks', { file: '/key', offset: 0, size: undefined }, 'xfs', 'inner'],
      ['closed', 'made-up', 'ext4', undefined],
    ]);
    expect([made.missing, made.untested]).toEqual([[], ['/etc/crypttab: c: its passphrase']]);
  });

  it('leave out files that are swapped to, and what needs a network', () => {
    expect(plan('/swap.img none swap\nh:/x /mnt/x nfs').passedOver.map(({ unit }) => unit)).toEqual([
      'swap.img.swap',
      'mnt-x.mount',
    ]);
  });

  it.each([
    ['UUID=123 /tank zfs', 'for /etc/fstab: /tank: the gate cannot make a zfs_member'],
    ['PARTUUID=abcd1234-05 /a ext4', 'for /etc/fstab: /a: the gate makes no such partition'],
  ])('that cannot be made, and are needed, are an error: %j', (fstab, message) => {
    expect(() => plan(fstab)).toThrow(message);
  });
});
