import { describe, expect, it } from 'vitest';
import { isMadeByBoot, needsToken, parseCrypttab } from './crypttab.ts';
import { parseDeviceSpec } from './device-spec.ts';
import { isMountedAtBoot, needsNetwork, parseFstab } from './fstab.ts';
import { unitOfPath } from './unit-name.ts';
import { judgeUnits } from './units.ts';

describe('fstab', () => {
  it('is read as fstab(5) has it', () => {
    const text = `
# comment
UUID=1-2 / btrfs subvol=@,noatime 0 0
  LABEL="my\\040disk"\t/mnt/my\\040disk  ext4
/dev/disk/by-partlabel/a\\x20b none swap sw 0 0
tmpfs /tmp tmpfs
alone
`;
    expect(parseFstab(text).map(({ device, target, options }) => [device, target, options])).toEqual([
      [{ tag: 'UUID', value: '1-2' }, '/', ['subvol=@', 'noatime']],
      [{ tag: 'LABEL', value: 'my disk' }, '/mnt/my disk', ['defaults']],
      [{ tag: 'PARTLABEL', value: 'a b' }, 'none', ['sw']],
      [undefined, '/tmp', ['defaults']],
    ]);
  });

  it.each([
    ['/dev/sda1 /a ext4 noauto', false, false],
    ['/dev/sda1 /a ext4 noauto,x-systemd.automount', true, false],
    ['h:/e /a nfs4 rw', true, true],
    ['//h/e /a cifs rw', true, true],
    ['/dev/sdb /a ext4 _netdev', true, true],
    ['h:/e /a fuse.sshfs rw', true, true],
  ])('%s: mounted at boot %s, by a network %s', (line, atBoot, network) => {
    const [entry] = parseFstab(line);
    expect([isMountedAtBoot(entry!), needsNetwork(entry!)]).toEqual([atBoot, network]);
  });
});

describe('a device', () => {
  it.each([
    ['UUID=ABCD-1234', { tag: 'UUID', value: 'ABCD-1234' }],
    ['/dev/disk/by-uuid/x', { tag: 'UUID', value: 'x' }],
    ['/dev/disk/by-label/\\xc3\\xa4\\x20b', { tag: 'LABEL', value: 'ä b' }],
    ['/dev/mapper/vg-home', { path: '/dev/mapper/vg-home' }],
    ['/dev/disk/by-id/ata-x', { path: '/dev/disk/by-id/ata-x' }],
    ['/dev/shm', undefined],
    ['/data/x', undefined],
    ['proc', undefined],
    ['UUID=', undefined],
  ])('is what %j names', (text, spec) => {
    expect(parseDeviceSpec(text)).toEqual(spec);
  });
});

describe('crypttab', () => {
  it('is read as crypttab(5) has it', () => {
    const text = `home UUID=1 /etc/keys/home luks,keyfile-offset=8
swap PARTLABEL=swap /dev/urandom swap,cipher=aes
data LABEL=d none
old /dev/sdb - plain
image /srv/file none
`;
    const entries = parseCrypttab(text);
    expect(entries.map(({ name, device, key }) => [name, device, key])).toEqual([
      ['home', { tag: 'UUID', value: '1' }, '/etc/keys/home'],
      ['swap', { tag: 'PARTLABEL', value: 'swap' }, '/dev/urandom'],
      ['data', { tag: 'LABEL', value: 'd' }, undefined],
      ['old', { path: '/dev/sdb' }, undefined],
      ['image', undefined, undefined],
    ]);
    expect(entries.map(isMadeByBoot)).toEqual([false, true, false, true, false]);
  });

  it.each([
    ['a UUID=1 none tpm2-device=auto', true],
    ['a UUID=1 /key:UUID=2 luks', true],
    ['a UUID=1 /key luks', false],
    ['a UUID=1', false],
  ])('%s: opened by a token %s', (line, token) => {
    expect(needsToken(parseCrypttab(line)[0]!)).toBe(token);
  });
});

describe("a path's unit", () => {
  it.each([
    ['/', '-'],
    ['/data', 'data'],
    ['//var/lib/x-y//z_1.a/', String.raw`var-lib-x\x2dy-z_1.a`],
    ['/.hidden/ä b\\', String.raw`\x2ehidden-\xc3\xa4\x20b\x5c`],
  ])('of %j is what systemd-escape --path makes', (path, name) => {
    expect(unitOfPath(path, 'mount')).toBe(`${name}.mount`);
  });
});

it('of the units that failed, those count that nothing excuses', () => {
  const units = [
    'web.service',
    'NetworkManager-wait-online.service',
    'networking.service',
    'mnt-nfs.mount',
    'smartd.service',
    'nvidia-a.service',
    'nvidia-a.timer',
  ];
  const passedOver = [{ unit: 'mnt-nfs.mount', why: 'it needs a network' }];
  expect(judgeUnits(units, { allowed: ['smartd', 'nvidia-*'], passedOver })).toEqual({
    failed: ['web.service', 'nvidia-a.timer'],
    passedOver: [
      { unit: 'NetworkManager-wait-online.service', why: 'the gate has no network' },
      { unit: 'networking.service', why: 'the gate has no network' },
      { unit: 'mnt-nfs.mount', why: 'it needs a network' },
      { unit: 'smartd.service', why: 'it may fail (--gate-allow)' },
      { unit: 'nvidia-a.service', why: 'it may fail (--gate-allow)' },
    ],
  });
});
