import { files, program, type Requirement } from './requirement.ts';

/** What single kinds of disks need. Debian's refind is none of it: its installation changes this machine's ESP. */
export const diskParts: readonly Requirement[] = [
  files('systemd-boot', 'make disks with systemd-boot', {
    anyOf: ['/usr/lib/systemd/boot/efi/systemd-bootx64.efi'],
    packages: { apt: 'systemd-boot-efi', pacman: 'systemd', dnf: 'systemd-boot-unsigned' },
  }),
  program(['grub-mkimage', 'grub2-mkimage'], 'make disks with GRUB', {
    apt: 'grub-common',
    pacman: 'grub',
    dnf: 'grub2-tools-minimal',
  }),
  files('GRUB for UEFI', 'make disks with GRUB for UEFI', {
    anyOf: ['/usr/lib/grub/x86_64-efi/moddep.lst'],
    packages: { apt: 'grub-efi-amd64-bin', pacman: 'grub', dnf: 'grub2-efi-x64-modules' },
  }),
  files('GRUB for BIOS', 'make disks with GRUB for BIOS', {
    anyOf: ['/usr/lib/grub/i386-pc/moddep.lst'],
    packages: { apt: 'grub-pc-bin', pacman: 'grub', dnf: 'grub2-pc-modules' },
  }),
  program('syslinux', 'make disks with extlinux', 'syslinux'),
  files('syslinux modules', 'make disks with extlinux', {
    anyOf: [
      '/usr/lib/syslinux/modules/bios/menu.c32',
      '/usr/lib/syslinux/bios/menu.c32',
      '/usr/share/syslinux/menu.c32',
    ],
    packages: { apt: 'syslinux-common', pacman: 'syslinux', dnf: 'syslinux' },
  }),
  program('cryptsetup', 'make disks with an encrypted root', {
    apt: 'cryptsetup-bin',
    pacman: 'cryptsetup',
    dnf: 'cryptsetup',
  }),
  program('qemu-img', 'make disks as qcow2', { apt: 'qemu-utils', pacman: 'qemu-img', dnf: 'qemu-img' }),
  files('OVMF', 'boot disks by UEFI in a virtual machine', {
    anyOf: [
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
      '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
      '/usr/share/edk2-ovmf/x64/OVMF_CODE.fd',
      '/usr/share/edk2/ovmf/OVMF_CODE.fd',
      '/usr/share/OVMF/OVMF_CODE.fd',
    ],
    packages: { apt: 'ovmf', pacman: 'edk2-ovmf', dnf: 'edk2-ovmf' },
  }),
];

/** What imitations of single kinds of disks need. */
export const gateParts: readonly Requirement[] = [
  program('mkswap', 'have disks like those for swap', 'util-linux'),
  program('mkfs.xfs', 'have disks with xfs', 'xfsprogs'),
  program('mkfs.vfat', 'have disks with FAT', 'dosfstools'),
  program('mkntfs', 'have disks with NTFS', 'ntfs-3g'),
  program('cryptsetup', 'have disks with LUKS', {
    apt: 'cryptsetup-bin',
    pacman: 'cryptsetup',
    dnf: 'cryptsetup',
  }),
  program('sfdisk', 'have disks that are looked for by PARTUUID and PARTLABEL', {
    apt: 'fdisk',
    pacman: 'util-linux',
    dnf: 'util-linux',
  }),
].map((part) => ({ ...part, optional: true as const }));
