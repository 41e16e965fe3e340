import { describe, expect, it } from 'vitest';
import { chooseBootLoader } from './boot-loader.ts';
import { linkBootCode } from './grub.ts';
import { MEBIBYTE, planLayout, sfdiskScript } from './layout.ts';

const usual = { sizeBytes: 1000 * MEBIBYTE, rootBytes: 400 * MEBIBYTE };

describe('the layout of a disk', () => {
  it('has a BIOS boot partition for GRUB on BIOS, an ESP of an eighth, and a root up to the second table', () => {
    const layout = planLayout({ ...usual, ...grub('both') });
    expect(sfdiskScript(layout)).toBe(`label: gpt
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name="BIOS boot"
start=2MiB, size=125MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="EFI system"
start=127MiB, size=872MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="imgboot"
`);
    expect(planLayout({ ...usual, ...grub('uefi') }).biosBoot).toBeUndefined();
  });

  it('lets BIOS go on to the ESP for extlinux', () => {
    const layout = planLayout({ ...usual, loader: 'extlinux', firmware: new Set(['bios']) });
    expect(layout.esp.isLegacyBootable).toBe(true);
    expect(sfdiskScript(layout).match(/LegacyBIOSBootable/g)).toHaveLength(1);
  });

  it('is refused where the root would be too small, by a byte', () => {
    const rootBytes = planLayout({ ...usual, ...grub('both') }).root.sizeBytes;
    expect(() => planLayout({ ...usual, rootBytes, ...grub('both') })).not.toThrow();
    expect(() => planLayout({ ...usual, rootBytes: rootBytes + 1, ...grub('both') })).toThrow(
      'are too small',
    );
  });

  function grub(firmware: 'uefi' | 'both'): { loader: 'grub'; firmware: ReadonlySet<'uefi' | 'bios'> } {
    return { loader: 'grub', firmware: chooseBootLoader({ loader: 'grub', firmware }).firmware };
  }
});

it.each([
  { asked: {}, name: 'systemd-boot', firmware: ['uefi'] },
  { asked: { firmware: 'bios' }, name: 'grub', firmware: ['bios'] },
  { asked: { firmware: 'both' }, name: 'grub', firmware: ['uefi', 'bios'] },
  { asked: { loader: 'grub' }, name: 'grub', firmware: ['uefi', 'bios'] },
  { asked: { loader: 'extlinux' }, name: 'extlinux', firmware: ['bios'] },
  { asked: { loader: 'refind', firmware: 'uefi' }, name: 'refind', firmware: ['uefi'] },
] as const)('$asked gives $name on $firmware', ({ asked, name, firmware }) => {
  const chosen = chooseBootLoader({ loader: undefined, firmware: undefined, ...asked });
  expect([chosen.name, [...chosen.firmware]]).toEqual([name, firmware]);
});

it("GRUB's boot code names the core's first sector, and that its other sectors", () => {
  const { bootCode, core } = linkBootCode(Buffer.alloc(512), { core: Buffer.alloc(1025), firstSector: 2048 });
  expect(bootCode).toHaveLength(440);
  expect(bootCode.readBigUInt64LE(0x5c)).toBe(2048n);
  expect(core.readBigUInt64LE(0x1f4)).toBe(2049n);
  expect(core.readUInt16LE(0x1fc)).toBe(2);
  expect(core.readUInt16LE(0x1fe)).toBe(0x820);
});
