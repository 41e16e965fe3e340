import { ImgbootError } from '../errors.ts';
import { byBytes, type RootedTree } from '../system/rooted.ts';
import { KernelConfig } from './kernel-config.ts';
import { printable } from './member-line.ts';

/** A kernel of a root file system, known by the modules it has there. */
export interface Kernel {
  /** As `uname -r` says it. */
  version: string;
  /** The kernel image, as a path inside the root; undefined where none was found. */
  image: string | undefined;
}

/** What `uname -r` says goes into plain text files, and has no other characters. */
const VERSION = /^[A-Za-z0-9][A-Za-z0-9._+~-]*$/;

/** The kernels whose modules lie in the tree, or that need none, in byte order of their versions. */
export function findKernels(tree: RootedTree): Kernel[] {
  const withModules = tree
    .list('/lib/modules')
    .filter((version) => tree.resolveFile(`/lib/modules/${version}/modules.dep`) !== undefined);
  const withoutAny = imageVersions(tree).filter((version) => {
    return KernelConfig.readFile(tree, version)?.lacks('CONFIG_MODULES') === true;
  });
  return [...new Set([...withModules, ...withoutAny])]
    .filter((version) => VERSION.test(version))
    .sort(byBytes)
    .map((version) => ({ version, image: findImage(tree, version) }));
}

/** The versions that kernel images are named by. */
function imageVersions(tree: RootedTree): string[] {
  return tree.list('/boot').flatMap((name) => /^vmlinu[xz]-(.+)$/.exec(name)?.[1] ?? []);
}

/**
 * The kernel to make an initramfs for: the one asked for, or the only one.
 * @throws IMGBOOT_NO_KERNEL, IMGBOOT_SEVERAL_KERNELS, IMGBOOT_NO_SUCH_KERNEL
 */
export function chooseKernel(tree: RootedTree, kver: string | undefined): Kernel {
  const kernels = findKernels(tree);
  if (kernels.length === 0) throw noKernel(tree);
  const names = kernels.map(({ version }) => version).join(', ');
  if (kver === undefined) {
    if (kernels.length === 1) return kernels[0]!;
    throw new ImgbootError('IMGBOOT_SEVERAL_KERNELS', `there is more than one kernel: ${names}`, {
      hint: `choose one with --kver, such as --kver ${kernels.at(-1)!.version}`,
    });
  }
  const chosen = kernels.find(({ version }) => version === kver);
  if (chosen !== undefined) return chosen;
  throw new ImgbootError(
    'IMGBOOT_NO_SUCH_KERNEL',
    `there is no kernel ${JSON.stringify(kver)}; there is ${names}`,
    {
      hint: 'give one of these to --kver',
    },
  );
}

function noKernel(tree: RootedTree): ImgbootError {
  const withoutIndex = tree.list('/lib/modules').filter((version) => {
    return tree.resolve(`/lib/modules/${version}/kernel`)?.kind === 'directory';
  });
  if (withoutIndex.length > 0) {
    return new ImgbootError(
      'IMGBOOT_NO_KERNEL',
      `/lib/modules/${withoutIndex[0]} has no modules.dep, so its modules cannot be found`,
      { hint: `add to the Dockerfile: RUN depmod -a ${withoutIndex[0]}` },
    );
  }
  const [lonely] = imageVersions(tree);
  if (lonely !== undefined) {
    return new ImgbootError(
      'IMGBOOT_NO_KERNEL',
      `the kernel ${printable(lonely)} has no modules: there is no /lib/modules/${printable(lonely)}`,
      { hint: `install them, of the same version: ${installLine(tree)}` },
    );
  }
  return new ImgbootError('IMGBOOT_NO_KERNEL', 'there is no kernel: /lib/modules is missing or empty', {
    hint: `add one to the Dockerfile: ${installLine(tree)}`,
  });
}

/** The line that puts a kernel into an image of this distribution. */
function installLine(tree: RootedTree): string {
  const release = tree.readFile('/etc/os-release')?.toString('utf8') ?? '';
  const ids = /^ID(_LIKE)?="?([^"\n]*)"?$/gm;
  const words = [...release.matchAll(ids)].flatMap((match) => match[2]!.split(' '));
  if (words.includes('ubuntu')) return 'RUN apt-get update && apt-get install -y linux-image-generic';
  if (words.includes('arch')) return 'RUN pacman -Sy --noconfirm linux';
  if (words.includes('fedora') || words.includes('rhel'))
    return 'RUN dnf install -y kernel-core kernel-modules';
  if (words.includes('alpine')) return 'RUN apk add linux-lts';
  return 'RUN apt-get update && apt-get install -y linux-image-amd64';
}

function findImage(tree: RootedTree, version: string): string | undefined {
  const pkgbase = tree.readFile(`/lib/modules/${version}/pkgbase`)?.toString('utf8').trim();
  const candidates = [
    `/boot/vmlinuz-${version}`,
    `/lib/modules/${version}/vmlinuz`,
    `/boot/vmlinux-${version}`,
    `/boot/kernel-${version}`,
    `/boot/Image-${version}`,
    // Arch names it by the package, Alpine by the flavour at the version's end.
    ...(pkgbase === undefined ? [] : [`/boot/vmlinuz-${pkgbase}`]),
    `/boot/vmlinuz-${version.slice(version.lastIndexOf('-') + 1)}`,
  ];
  return candidates.map((path) => tree.resolveFile(path)?.path).find((path) => path !== undefined);
}
