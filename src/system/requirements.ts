import { diskParts, gateParts } from './disk-requirements.ts';
import { kernel, library, program, requirementName, type Requirement } from './requirement.ts';

export { requirementName } from './requirement.ts';
export type { KernelFeature, PackageNames, Requirement } from './requirement.ts';

/** What imgboot can do on a host, each with needs of its own. */
export const capabilities = [
  'store',
  'images',
  'bootstrap',
  'mkinitramfs',
  'qemu',
  'deploy',
  'gate',
  'disk',
  'run',
  'build',
  'package',
  'develop',
  'bench',
] as const;
export type Capability = (typeof capabilities)[number];

interface CapabilityNeeds {
  summary: string;
  /** Capabilities that it builds on: their requirements are its, too. */
  includes?: readonly Capability[];
  requirements: readonly Requirement[];
}

/** The one table of what imgboot needs of a host. */
export const needs: Record<Capability, CapabilityNeeds> = {
  store: {
    summary: 'images and their unpacked layers on disk',
    requirements: [
      kernel('overlay', 'keep layers on ext4, xfs and other file systems'),
      kernel('namespaces', 'mount without the rest of the system seeing it'),
      program('unshare', 'mount without the rest of the system seeing it', 'util-linux'),
      program('setpriv', 'end helper programs with their parent', 'util-linux'),
      program('tar', 'read and write root file systems', 'tar'),
      program('xz', 'read layers and kernel modules that are compressed with xz', {
        apt: 'xz-utils',
        pacman: 'xz',
        dnf: 'xz',
      }),
      { ...kernel('btrfs', 'keep layers as btrfs snapshots'), optional: true },
      {
        ...library('libbtrfsutil.so.1', 'keep layers as btrfs snapshots', {
          apt: 'libbtrfsutil1',
          pacman: 'btrfs-progs',
          dnf: 'libbtrfsutil',
        }),
        optional: true,
      },
    ],
  },
  images: {
    summary: 'load, pull, save and push images',
    includes: ['store'],
    requirements: [program('skopeo', 'copy images from and to registries, archives and daemons', 'skopeo')],
  },
  bootstrap: {
    summary: 'make base images of Debian and Ubuntu',
    includes: ['store'],
    requirements: [
      program('mmdebstrap', 'make base images of Debian and Ubuntu', {
        apt: 'mmdebstrap',
        dnf: 'mmdebstrap',
      }),
      program('gpg', "find a suite's signing keys", { apt: 'gpg', pacman: 'gnupg', dnf: 'gnupg2' }),
    ],
  },
  mkinitramfs: {
    summary: 'make initramfs images',
    requirements: [
      program('busybox', "have the initramfs's shell and tools", {
        apt: 'busybox-static',
        pacman: 'busybox',
        dnf: 'busybox',
      }),
      program('blkid', 'find file systems by label and UUID in the initramfs', 'util-linux'),
      program('btrfs', 'make snapshots in the initramfs', 'btrfs-progs'),
      program('tar', 'apply the top layer in the initramfs', 'tar'),
      program('xz', 'read kernel modules that are compressed with xz', {
        apt: 'xz-utils',
        pacman: 'xz',
        dnf: 'xz',
      }),
      { ...program('lz4', 'compress an initramfs with lz4', 'lz4'), optional: true },
      { ...program('loadkeys', "have the image's keymap in the initramfs", 'kbd'), optional: true },
    ],
  },
  qemu: {
    summary: 'boot images in a virtual machine',
    includes: ['store', 'mkinitramfs'],
    requirements: [
      program('qemu-system-x86_64', 'run virtual machines', {
        apt: 'qemu-system-x86',
        pacman: 'qemu-system-x86',
        dnf: 'qemu-system-x86-core',
      }),
      kernel('loop', 'fill disk images'),
      program('losetup', 'fill disk images', { apt: 'mount', pacman: 'util-linux', dnf: 'util-linux' }),
      program('mkfs.ext4', 'make disks with ext4', 'e2fsprogs'),
      program('mkfs.btrfs', 'make disks with btrfs', 'btrfs-progs'),
      { ...kernel('kvm', 'run virtual machines at full speed'), optional: true },
    ],
  },
  deploy: {
    summary: 'boot this machine from images, upgrade it and roll back',
    includes: ['store', 'mkinitramfs'],
    requirements: [
      program('mount', "reach the boot loader's file system", {
        apt: 'mount',
        pacman: 'util-linux',
        dnf: 'util-linux',
      }),
      {
        ...program('fsck.vfat', 'mend the partition that firmware reads after a power cut', 'dosfstools'),
        optional: true,
      },
      { ...program('skopeo', 'upgrade from a registry', 'skopeo'), optional: true },
      {
        ...program('diff', "show the lines in which a top layer's files differ", 'diffutils'),
        optional: true,
      },
    ],
  },
  gate: {
    summary: 'try a version in a virtual machine before it is deployed',
    includes: ['deploy', 'qemu'],
    requirements: gateParts,
  },
  disk: {
    summary: 'make disks that boot images',
    includes: ['store', 'mkinitramfs'],
    requirements: [
      kernel('loop', 'fill disks'),
      program('sfdisk', 'write partition tables', { apt: 'fdisk', pacman: 'util-linux', dnf: 'util-linux' }),
      program('mkfs.vfat', 'make the partition that firmware reads', 'dosfstools'),
      program('mcopy', 'fill the partition that firmware reads', 'mtools'),
      program('mkfs.btrfs', 'make disks with btrfs', 'btrfs-progs'),
      program('mkfs.ext4', 'make disks with ext4', 'e2fsprogs'),
      program('lsblk', 'say what is on a device', 'util-linux'),
      ...diskParts.map((part) => ({ ...part, optional: true as const })),
    ],
  },
  run: {
    summary: 'run images as containers',
    includes: ['store'],
    requirements: [
      kernel('cgroup', 'limit what containers use'),
      program(['crun', 'runc'], 'run containers', { apt: 'runc', pacman: 'crun', dnf: 'crun' }),
      program('conmon', 'watch containers', 'conmon'),
      program('flock', 'clean up after containers', 'util-linux'),
      {
        ...program(['catatonit', 'tini-static'], 'run containers with --init', {
          apt: 'catatonit',
          pacman: 'catatonit',
          dnf: 'catatonit',
        }),
        optional: true,
      },
      {
        ...program('busybox', 'run containers with --top-layer', {
          apt: 'busybox-static',
          pacman: 'busybox',
          dnf: 'busybox',
        }),
        optional: true,
      },
      { ...program('netavark', 'give containers networks', 'netavark'), optional: true },
      {
        ...program('aardvark-dns', 'let containers find each other by name', 'aardvark-dns'),
        optional: true,
      },
      {
        ...program('iptables', 'give containers networks', {
          apt: 'iptables',
          pacman: 'iptables',
          dnf: 'iptables-nft',
        }),
        optional: true,
      },
      {
        ...program('ip', 'give containers networks', {
          apt: 'iproute2',
          pacman: 'iproute2',
          dnf: 'iproute',
        }),
        optional: true,
      },
    ],
  },
  build: {
    summary: 'build images from Dockerfiles',
    includes: ['images', 'run'],
    requirements: [],
  },
  package: {
    summary: "make imgboot's own packages",
    requirements: [program('dpkg-deb', 'make the .deb', 'dpkg')],
  },
  develop: {
    summary: 'everything that npm test uses',
    includes: ['images', 'bootstrap', 'mkinitramfs', 'qemu', 'disk', 'build', 'package'],
    requirements: [
      ...diskParts,
      program('shellcheck', 'check the shell code', {
        apt: 'shellcheck',
        pacman: 'shellcheck',
        dnf: 'ShellCheck',
      }),
      program('buildah', 'compare built images with', 'buildah'),
      program('podman', 'run built images with, and boot from its store', 'podman'),
      program('dockerd', 'boot from its store', { apt: 'docker.io', pacman: 'docker', dnf: 'moby-engine' }),
      program('docker', 'boot from its store', { apt: 'docker.io', pacman: 'docker', dnf: 'moby-engine' }),
      program('netavark', 'test networks of containers', 'netavark'),
      program('aardvark-dns', 'test networks of containers', 'aardvark-dns'),
      program('host-local', 'test networks of containers by the CNI plugins', {
        apt: 'containernetworking-plugins',
        pacman: 'cni-plugins',
        dnf: 'containernetworking-plugins',
      }),
      program('iptables', 'test networks of containers', {
        apt: 'iptables',
        pacman: 'iptables',
        dnf: 'iptables-nft',
      }),
      program('ip', 'test networks of containers', {
        apt: 'iproute2',
        pacman: 'iproute2',
        dnf: 'iproute',
      }),
      program('docker-registry', 'push images to', { apt: 'docker-registry' }),
      program('umoci', 'compare unpacked images with', { apt: 'umoci' }),
      program('bsdtar', 'compare unpacked layers with', {
        apt: 'libarchive-tools',
        pacman: 'libarchive',
        dnf: 'bsdtar',
      }),
      program('cpio', 'compare initramfs archives with', 'cpio'),
      program('zstd', 'make and read test archives', 'zstd'),
      program('bzip2', 'make test archives', 'bzip2'),
      program('lz4', 'make and read test archives', 'lz4'),
      program('loadkeys', 'compare compiled keymaps with', 'kbd'),
      program('modprobe', 'compare the loading order of modules with', 'kmod'),
      program('readelf', 'compare stripped modules with', 'binutils'),
      program('setfattr', 'make test files with extended attributes', 'attr'),
      program('setfacl', 'make test files with ACLs', 'acl'),
      program('setcap', 'make test files with capabilities', {
        apt: 'libcap2-bin',
        pacman: 'libcap',
        dnf: 'libcap',
      }),
      program('time', 'measure the memory of commands', 'time'),
      program('mkfs.xfs', 'test stores on xfs', 'xfsprogs'),
      program('sfdisk', 'make test disks with partitions', {
        apt: 'fdisk',
        pacman: 'util-linux',
        dnf: 'util-linux',
      }),
      program('git', 'read the version of the sources', 'git'),
      kernel('btrfs', 'test stores on btrfs'),
      library('libbtrfsutil.so.1', 'test stores on btrfs', {
        apt: 'libbtrfsutil1',
        pacman: 'btrfs-progs',
        dnf: 'libbtrfsutil',
      }),
    ],
  },
  bench: {
    summary: 'everything that npm run bench measures against',
    includes: ['develop'],
    requirements: [
      program('dockerd', 'compare with docker', { apt: 'docker.io', pacman: 'docker', dnf: 'moby-engine' }),
    ],
  },
};

/** The requirements of a capability and of those that it builds on, each once. */
export function requirementsOf(capability: Capability): Requirement[] {
  const { includes = [], requirements } = needs[capability];
  const byName = new Map<string, Requirement>();
  for (const requirement of [...requirements, ...includes.flatMap(requirementsOf)]) {
    const name = requirementName(requirement);
    const known = byName.get(name);
    // What is optional below may be required here.
    if (known === undefined || (known.optional && !requirement.optional)) byName.set(name, requirement);
  }
  return [...byName.values()];
}
