import { KernelConfig } from '../initramfs/kernel-config.ts';
import { findKernels } from '../initramfs/kernel.ts';
import type { RootedTree } from '../system/rooted.ts';

/** Something that keeps an image from booting (`error`) or may (`warning`). */
export interface BootFinding {
  level: 'error' | 'warning';
  /** What was looked at: `kernel`, `modules`, `init`, `fstab`. */
  part: 'kernel' | 'modules' | 'init' | 'fstab';
  message: string;
  /** What to add to the Dockerfile. */
  hint: string;
}

const inits = ['/sbin/init', '/etc/init', '/bin/init'];

/** File systems that systemd mounts by itself or that need no device. */
const virtualFilesystems = new Set([
  'proc',
  'sysfs',
  'tmpfs',
  'devtmpfs',
  'devpts',
  'cgroup',
  'cgroup2',
  'none',
  'overlay',
  'bind',
  'nfs',
  'nfs4',
  'cifs',
  '9p',
  'virtiofs',
  'efivarfs',
  'swap',
]);

/**
 * Looks at an image's root file system for what its boot needs. Runs nothing of the image, reads nothing outside it.
 * An image without findings may still fail: the gate is a boot in QEMU.
 */
export function checkBootability(tree: RootedTree): BootFinding[] {
  return [...kernelFindings(tree), ...initFindings(tree), ...fstabFindings(tree)];
}

function kernelFindings(tree: RootedTree): BootFinding[] {
  const kernels = findKernels(tree);
  if (kernels.length === 0) {
    const image = tree.list('/boot').find((name) => name.startsWith('vmlinuz'));
    return [
      image === undefined
        ? {
            level: 'error',
            part: 'kernel',
            message: 'there is no kernel',
            hint: 'RUN apt-get update && apt-get install -y --no-install-recommends linux-image-amd64',
          }
        : {
            level: 'error',
            part: 'modules',
            message: `/boot/${image} is there, and no modules for it`,
            hint: `RUN apt-get install -y linux-image-${image.replace(/^vmlinuz-?/, '') || 'amd64'}`,
          },
    ];
  }
  const findings: BootFinding[] = [];
  for (const { version, image } of kernels) {
    if (image === undefined) {
      findings.push({
        level: 'error',
        part: 'kernel',
        message: `there are modules of kernel ${version}, and no image of it`,
        hint: `RUN apt-get install -y linux-image-${version}, or COPY it to /boot/vmlinuz-${version}`,
      });
    }
    const config = KernelConfig.readFile(tree, version);
    for (const option of ['CONFIG_BLK_DEV_INITRD', 'CONFIG_DEVTMPFS', 'CONFIG_TMPFS']) {
      if (config !== undefined && !config.has(option)) {
        findings.push({
          level: 'error',
          part: 'kernel',
          message: `kernel ${version} is built without ${option}`,
          hint: "install the distribution's own kernel",
        });
      }
    }
  }
  if (kernels.length > 1) {
    const versions = kernels.map(({ version }) => version).join(', ');
    findings.push({
      level: 'warning',
      part: 'kernel',
      message: `there are several kernels: ${versions}`,
      hint: 'remove those that are not needed, or choose with --kver',
    });
  }
  return findings;
}

function initFindings(tree: RootedTree): BootFinding[] {
  const init = inits.map((path) => tree.resolveFile(path)).find((file) => file !== undefined);
  if (init === undefined) {
    return [
      {
        level: 'error',
        part: 'init',
        message: 'there is no /sbin/init',
        hint: 'RUN apt-get install -y systemd-sysv, or put an init there',
      },
    ];
  }
  if ((init.mode & 0o111) === 0) {
    return [
      {
        level: 'error',
        part: 'init',
        message: `${init.path} is no program: nobody may execute it`,
        hint: `RUN chmod 755 ${init.path}`,
      },
    ];
  }
  const isSystemd = init.path.endsWith('/systemd/systemd');
  const findings: BootFinding[] = [];
  if (
    isSystemd &&
    ['/usr/lib/systemd/systemd-udevd', '/lib/systemd/systemd-udevd'].every(
      (path) => tree.resolveFile(path) === undefined,
    )
  ) {
    findings.push({
      level: 'warning',
      part: 'init',
      message:
        'systemd is there, and udev is not: no device unit appears, so no console login and no mount by label',
      hint: 'RUN apt-get install -y udev',
    });
  }
  return findings;
}

/** An entry that waits for a device of another machine stops the boot for ninety seconds, and then in a shell. */
function fstabFindings(tree: RootedTree): BootFinding[] {
  const text = tree.readFile('/etc/fstab')?.toString('utf8') ?? '';
  return text.split('\n').flatMap((line, index): BootFinding[] => {
    const [device = '', place = '', type = '', options = 'defaults'] = line.trim().split(/\s+/);
    if (device === '' || device.startsWith('#') || virtualFilesystems.has(type) || place === 'none')
      return [];
    const words = options.split(',');
    const at = `/etc/fstab:${index + 1}`;
    if (place === '/') {
      return [
        {
          level: 'warning',
          part: 'fstab',
          message: `${at}: the root is given as ${device}; the initramfs has mounted it already, and systemd only remounts it`,
          hint: 'leave the root out of the image, or put fstab into the top layer',
        },
      ];
    }
    if (words.includes('nofail') || words.includes('noauto')) return [];
    return [
      {
        level: 'error',
        part: 'fstab',
        message: `${at}: ${place} waits for ${device}, which a machine may not have`,
        hint: 'add nofail to its options, or put fstab into the top layer of the machine that has it',
      },
    ];
  });
}
